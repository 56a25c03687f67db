"""What people say of compared answers: votes on two columns, and the reasons of thumbs."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from app.battle_protocol import VoteChoice
from app.errors import BadRequest, StudioError
from app.ui.chatbot import rating_of
from app.ui.compare.column import Column, ColumnTab
from app.ui.compare.view import CompareView
from app.ui.compare.voting import Voting, pair_of
from app.ui.language import PageError
from app.ui.messages import Message
from app.ui.rating import RatingHandlers
from app.ui.screen import Change, Notice
from app.ui.view import rating_values


def wire_votes(view: CompareView, voting: Voting, on: dict[str, Any]) -> None:
    """Buttons, the reason, and which two columns are meant."""
    ballot = view.ballot

    async def vote(
        choice: VoteChoice | None, chosen: Any, pair: Any, reason: str, *stored: Any
    ) -> dict[Any, Any]:
        wanted, columns = choice or chosen, pair_of(pair)
        if wanted is None:  # a reason without a choice says nothing yet
            return {ballot.title: gr.skip()}
        first, second = (ColumnTab.read(stored[number - 1]) for number in columns)
        try:
            cast = await voting.vote(first, second, wanted, reason)
        except BadRequest as error:
            told = PageError("compare.not_same") if type(error) is BadRequest else error
            return view.tell(Notice(error=told))
        except StudioError as error:
            return view.tell(Notice(error=error))
        return {**ballot.show(cast, columns), **view.tell(Notice())}

    inputs = [ballot.chosen, ballot.pair, ballot.reason, *view.stored]
    outputs = [*ballot.changing, view.notice]
    for choice, button in ballot.buttons.items():
        button.click(partial(vote, choice), inputs, outputs, trigger_mode="once", **on)
    ballot.reason.submit(partial(vote, None), inputs, outputs, **on)
    ballot.pair.input(lambda pair: ballot.empty(pair_of(pair)), ballot.pair, ballot.changing, **on)


def offer(view: CompareView) -> Any:
    """Offers a vote when no column is being written any more: (busy ..., count, stored ...).

    It never hides one: replies may overtake each other, and whoever asks hides it beforehand.
    """
    nothing: dict[Any, Any] = {view.ballot.title: gr.skip()}

    def offered(*values: Any) -> dict[Any, Any]:
        number = len(view.columns)
        busy, count, stored = values[:number], values[number], values[number + 1 :]
        if any(busy):
            return nothing
        shown = [ColumnTab.read(each) for each in stored[: int(count or 0)]]
        answered = [n for n, tab in enumerate(shown, 1) if tab.conversation]
        return view.ballot.offer(answered) if len(answered) > 1 else nothing

    return offered


def wire_thumbs(
    view: CompareView, column: Column, rating: RatingHandlers, on: dict[str, Any]
) -> None:
    """Thumbs of one column, which ask for their reason below the columns."""
    form = view.rating

    async def thumb(event: gr.LikeData, stored: Any, shown: list[Message]) -> Any:
        index = event.index if isinstance(event.index, int) else event.index[0]
        message = shown[index] if 0 <= index < len(shown) else {}
        # A second press takes Gradio's mark away, and not the rating: it is shown again.
        value = rating_of(event.liked) or message.get("rating") or "up"
        yield {column.chat: gr.update(feedback_value=[]), column.busy: gr.skip()}
        change = await rating.press(ColumnTab.read(stored), shown, message.get("id", ""), value)
        yield {
            **column.apply(change.but(messages=change.messages or shown)),
            **(rating_values(form, change.panel, view.texts) if change.panel else {}),
            view.rated: column.number,
        }

    outputs = [*column.changing, *view.rating_parts, view.rated]
    column.chat.like(
        thumb, [column.stored, column.shown], outputs, trigger_mode="always_last", **on
    )


def wire_reasons(view: CompareView, rating: RatingHandlers, on: dict[str, Any]) -> None:
    """The form that asks for a thumb's reason, for whichever column it was."""
    form, number = view.rating, len(view.columns)

    def shown(rated: Any, change: Change) -> dict[Any, Any]:
        values = view.columns[int(rated) - 1].apply(change)
        return values | (rating_values(form, change.panel, view.texts) if change.panel else {})

    async def explain(rated: Any, reason: str | None, comment: str, *stored: Any) -> Any:
        tab = ColumnTab.read(stored[int(rated) - 1])
        return shown(rated, await rating.explain(tab, reason, comment))

    async def take_back(rated: Any, *values: Any) -> Any:
        at = int(rated) - 1
        tab, messages = ColumnTab.read(values[at]), values[number + at]
        return shown(rated, await rating.take_back(tab, messages))

    outputs = [*(part for column in view.columns for part in column.changing), *view.rating_parts]
    said = [view.rated, form.reason, form.comment, *view.stored]
    gr.on([form.done.click, form.comment.submit], explain, said, outputs, **on)
    everything = [view.rated, *view.stored, *(column.shown for column in view.columns)]
    form.take_back.click(take_back, everything, outputs, **on)
