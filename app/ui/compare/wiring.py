"""Which handler runs on which event of the page that compares.

Each column has events of its own, so that all stream at once, and one that is stopped, slow or
refused leaves the others alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import gradio as gr

from app.errors import StudioError
from app.ui.chatbot import chat_messages
from app.ui.compare.column import MOST_COLUMNS, Column, ColumnTab
from app.ui.compare.handlers import Asked, Comparing, choice_of, fresh
from app.ui.compare.judging import offer, wire_reasons, wire_thumbs, wire_votes
from app.ui.compare.view import ALL, FEWEST_COLUMNS, CompareView
from app.ui.compare.voting import Voting
from app.ui.rating import RatingHandlers
from app.ui.screen import Change, Draft, Notice
from app.ui.tab import Tab, at_once

REMEMBER_IN_ADDRESS = """
(...stored) => {
  const url = new URL(window.location.href);
  const chats = stored.map((each) => JSON.parse(each || "{}").conversation || "");
  if (chats.some(Boolean)) url.searchParams.set("chats", chats.join("."));
  else url.searchParams.delete("chats");
  window.history.replaceState(window.history.state, "", url);
}
"""
"""Each tab finds its own columns again when it is reloaded."""

RECALL_FROM_ADDRESS = """
(tab, count, ...stored) => {
  const named = new URL(window.location.href).searchParams.get("chats");
  if (!named) return [tab, count, ...stored.map((each) => {
    const column = JSON.parse(each || "null");
    return column ? JSON.stringify({ ...column, conversation: null, path: [] }) : each;
  })];
  const chats = named.split(".");
  return [tab, count, ...stored.map((each, at) => {
    const column = JSON.parse(each || '{"person": "somebody"}');
    return JSON.stringify({ ...column, conversation: chats[at] || null, path: [] });
  })];
}
"""
"""The address says which conversations this tab shows; settings are those used last."""


def wire_compare(
    page: gr.Blocks,
    view: CompareView,
    comparing: Comparing,
    rating: RatingHandlers,
    voting: Voting,
) -> None:
    """Connect the parts of the page with the handlers; call it inside the page."""
    on: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    _wire_opening(page, view, comparing, on)
    asking = _wire_asking(view, comparing, on)
    for column in view.columns:
        _wire_column(view, column, comparing, rating, on, asking[column.number])
    _wire_marks(view, comparing, on)
    everything = [event for events in asking.values() for event in events]
    gr.on([view.new.click, view.box.stop], None, cancels=everything, api_visibility="private")
    stopped = view.box.stop(
        _stopped(view, comparing), [*view.stored, *_busy(view)], _all_changing(view), **on
    )
    _offered(view, stopped, on)
    _wire_new(view, on)
    wire_votes(view, voting, on)
    wire_reasons(view, rating, on)


def _wire_opening(
    page: gr.Blocks, view: CompareView, comparing: Comparing, on: dict[str, Any]
) -> None:
    async def opened(tab: Any, *stored: Any) -> dict[Any, Any]:
        columns = [ColumnTab.read(each) for each in stored]
        return view.open(await comparing.open(Tab.read(tab), columns))

    def sized(count: Any) -> dict[Any, Any]:
        return view.resize(_count(count))

    inputs = [view.tab, view.count, *view.stored]
    recalled = page.load(
        None, inputs, inputs, js=at_once(RECALL_FROM_ADDRESS), api_visibility="private"
    )
    # Before the models are asked for: what is chosen until they are there stays chosen.
    shown = recalled.then(sized, view.count, view.resizing, **on)
    whose = [view.tab, *view.stored]
    loaded = shown.then(opened, whose, view.opening, **on)
    _offered(view, loaded, on)
    view.waiting.tick(opened, whose, view.opening, **on)
    gr.on(
        [column.stored.change for column in view.columns],
        None,
        view.stored,
        js=REMEMBER_IN_ADDRESS,
        api_visibility="private",
    )
    changed = view.how_many.input(sized, view.how_many, view.resizing, **on)
    _offered(view, changed, on)


def _wire_asking(
    view: CompareView, comparing: Comparing, on: dict[str, Any]
) -> dict[int, list[Any]]:
    """The events that ask, by the number of their column."""

    def take(box: dict[str, Any] | None, whom: int, count: Any) -> dict[Any, Any]:
        given = box or {}
        draft = Draft(str(given.get("text") or ""), tuple(given.get("files") or ()))
        numbers = tuple(range(1, _count(count) + 1)) if whom == ALL else (int(whom),)
        try:
            asked = comparing.check(draft, numbers)
        except StudioError as error:
            return {view.asked: None, **view.tell(Notice(error=error))}
        emptied = gr.update(value={"text": "", "files": []}, submit_btn=False, stop_btn=True)
        return {
            **{view.asked: asked, view.box: emptied, view.mark: False},
            **view.tell(Notice()),
            **view.ballot.hide(),
            view.rating.form: gr.update(visible=False),
        }

    taken = view.box.submit(
        take,
        [view.box, view.whom, view.count],
        [view.asked, view.box, view.mark, view.notice, view.ballot.box, view.rating.form],
        trigger_mode="once",
        **on,
    )
    events: dict[int, list[Any]] = {}
    for column in view.columns:
        inputs = [view.asked, view.tab, column.stored, column.shown, *column.sampling]
        asked = taken.then(_asks(column, comparing), inputs, column.changing, **on)
        again = column.again.click(
            _asks(column, comparing),
            [column.refused, view.tab, column.stored, column.shown, *column.sampling],
            column.changing,
            trigger_mode="once",
            **on,
        )
        for event in (asked, again):
            event.then(_free(view), _busy(view), view.box, **on)
            _offered(view, event, on)
        events[column.number] = [asked, again]
    return events


def _asks(column: Column, comparing: Comparing) -> Any:
    async def ask(
        asked: Asked | Draft | None,
        person: Any,
        stored: Any,
        shown: list[Any],
        model: str | None,
        temperature: float,
        top_p: float,
        max_tokens: float,
    ) -> AsyncIterator[dict[Any, Any]]:
        draft = asked.draft if isinstance(asked, Asked) else asked
        if draft is None or (isinstance(asked, Asked) and column.number not in asked.columns):
            yield column.apply(Change())
            return
        settings = {
            "person": Tab.read(person).person,
            "model": model,
            "temperature": temperature,
            "top_p": top_p,
            "max_tokens": int(max_tokens),
        }
        tab = ColumnTab.read(stored).model_copy(update=settings)
        choice = choice_of(model, temperature, top_p, max_tokens)
        async with aclosing(comparing.ask(tab, draft, shown, choice)) as changes:
            async for change in changes:
                yield column.apply(change)

    return ask


def _wire_column(
    view: CompareView,
    column: Column,
    comparing: Comparing,
    rating: RatingHandlers,
    on: dict[str, Any],
    asking: list[Any],
) -> None:
    async def stopped(stored: Any) -> dict[Any, Any]:
        return column.apply(await comparing.settle(ColumnTab.read(stored)))

    column.stop.click(None, None, None, cancels=asking, api_visibility="private")
    ended = column.stop.click(stopped, column.stored, column.changing, **on)
    ended.then(_free(view), _busy(view), view.box, **on)
    _offered(view, ended, on)
    wire_thumbs(view, column, rating, on)


def _wire_marks(view: CompareView, comparing: Comparing, on: dict[str, Any]) -> None:
    async def mark(wanted: bool, count: Any, *stored: Any) -> dict[Any, Any]:
        columns = view.columns[: _count(count)]
        tabs = [ColumnTab.read(each) for each in stored[: len(columns)]]
        try:
            shown = await comparing.mark(tabs, wanted)
        except StudioError as error:
            return view.tell(Notice(error=error))
        values: dict[Any, Any] = view.tell(Notice())
        for column, lines in zip(columns, shown, strict=True):
            if lines is not None:
                values[column.chat] = gr.update(value=chat_messages(lines, view.texts))
        return values

    chats = [column.chat for column in view.columns]
    inputs = [view.mark, view.count, *view.stored]
    view.mark.input(mark, inputs, [view.notice, *chats], **on)


def _wire_new(view: CompareView, on: dict[str, Any]) -> None:
    def new(*stored: Any) -> dict[Any, Any]:
        values: dict[Any, Any] = {view.mark: False, view.box: _submitting()}
        for column, each in zip(view.columns, stored, strict=True):
            tab = fresh(ColumnTab.read(each))
            change = Change(tab=tab, messages=[], busy=False, notice=Notice())
            values |= column.apply(change) | {column.figures: "", column.refused: None}
            values[column.again] = gr.update(visible=False)
        hidden = {**view.ballot.hide(), view.rating.form: gr.update(visible=False)}
        return values | view.tell(Notice()) | hidden

    outputs = [*_all_changing(view), view.mark, view.notice, view.ballot.box, view.rating.form]
    view.new.click(new, view.stored, outputs, **on)


def _stopped(view: CompareView, comparing: Comparing) -> Any:
    async def stopped(*values: Any) -> dict[Any, Any]:
        half = len(view.columns)
        changes: dict[Any, Any] = {view.box: _submitting()}
        for column, stored, busy in zip(view.columns, values[:half], values[half:], strict=True):
            if busy:
                changes |= column.apply(await comparing.settle(ColumnTab.read(stored)))
        return changes

    return stopped


def _free(view: CompareView) -> Any:
    """The box takes questions again when no column is being written any more."""

    def free(*busy: bool) -> Any:
        return gr.skip() if any(busy) else _submitting()

    return free


def _offered(view: CompareView, event: Any, on: dict[str, Any]) -> None:
    """After an event, a vote is offered where nothing is being written any more."""
    inputs = [*_busy(view), view.count, *view.stored]
    event.then(offer(view), inputs, view.ballot.changing, **on)


def _submitting() -> Any:
    return gr.update(submit_btn=True, stop_btn=False)


def _busy(view: CompareView) -> list[Any]:
    return [column.busy for column in view.columns]


def _all_changing(view: CompareView) -> list[Any]:
    return [*(part for column in view.columns for part in column.changing), view.box]


def _count(stored: Any) -> int:
    """A number of columns, whatever the browser has kept."""
    wanted = stored if isinstance(stored, int) else FEWEST_COLUMNS
    return min(max(wanted, FEWEST_COLUMNS), MOST_COLUMNS)
