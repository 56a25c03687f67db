"""What the comparison does: open, ask some columns, mark differences, begin anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from app.errors import NotFound, StudioError
from app.protocol import ModelInfo, Sampling, StoredConversation
from app.ui.answering import Answering, compose
from app.ui.client import ControllerClient
from app.ui.compare.column import OTHER_TEMPERATURE, ColumnTab
from app.ui.compare.differences import differing, marked
from app.ui.messages import Message, being_written, chosen_answer, messages_of
from app.ui.screen import Change, Choice, Draft, Notice, failed, showing
from app.ui.tab import Tab

NO_MODEL = Notice("chat.waiting_for_model")
ONLY_ONE = Notice("compare.same")


@dataclass(frozen=True)
class Asked:
    """A question that was sent, and the numbers of the columns that it goes to."""

    draft: Draft
    columns: tuple[int, ...]


@dataclass(frozen=True)
class Opened:
    """The page as it is loaded: the models, and each column's state and change."""

    models: tuple[str, ...]
    columns: tuple[ColumnTab, ...]
    changes: tuple[Change, ...]
    notice: Notice


class Comparing:
    """The handlers of the page; each column is a conversation of its own."""

    def __init__(self, client: ControllerClient, answering: Answering) -> None:
        self._client = client
        self._answering = answering

    async def open(self, tab: Tab, columns: Sequence[ColumnTab]) -> Opened:
        """All columns with their conversations, and a model chosen in each. What a column without
        one shows stays: it may have been asked before this comes to an end."""
        owned = [column.model_copy(update={"person": tab.person}) for column in columns]
        notice = Notice()
        try:
            served = await self._client.list_models()
            notice = (Notice() if len(served) > 1 else ONLY_ONE) if served else NO_MODEL
        except StudioError as error:
            served, notice = [], Notice(error=error)
        changes = await asyncio.gather(*map(self._conversation, owned))
        chosen = [
            _with_defaults(_tab_of(change, column), number, served)
            for number, (change, column) in enumerate(zip(changes, owned, strict=True))
        ]
        changes = [
            change.but(tab=column, draft=None) if change.tab else change
            for change, column in zip(changes, chosen, strict=True)
        ]
        names = tuple(model.id for model in served)
        return Opened(names, tuple(chosen), tuple(changes), notice)

    def check(self, draft: Draft, columns: tuple[int, ...]) -> Asked:
        """The question to ask. Raises what :func:`app.ui.answering.compose` raises."""
        compose(draft)
        return Asked(draft, columns)

    async def ask(
        self, column: ColumnTab, draft: Draft, shown: list[Message], choice: Choice
    ) -> AsyncGenerator[Change, None]:
        """Ask one column, and follow its answer."""
        changes = self._answering.send(column, draft, shown, choice)
        async with aclosing(changes):
            asked = shown
            async for change in changes:
                asked = change.messages or asked
                if change.written:
                    written = being_written(change.written, choice.model)
                    change = change.but(messages=[*asked[:-1], written])
                yield change

    async def settle(self, column: ColumnTab) -> Change:
        """The column after its answer was stopped."""
        return await self._answering.settle(column)

    async def mark(self, columns: Sequence[ColumnTab], on: bool) -> list[list[Message] | None]:
        """The messages of each column, the words of its last answer marked that not all others
        have; as they are with ``on`` False. None: a column without a conversation."""
        stored = await asyncio.gather(*map(self._stored, columns))
        last = [_last_answer(conversation) for conversation in stored]
        marks = differing(last)
        shown: list[list[Message] | None] = []
        for conversation, text, marks_of_it in zip(stored, last, marks, strict=True):
            if conversation is None:
                shown.append(None)
                continue
            lines = messages_of(conversation)
            if on and text and any(marks_of_it):
                body = f'<p class="differing">{marked(text, marks_of_it)}</p>'
                lines[-1] = {**lines[-1], "html": body}
            shown.append(lines)
        return shown

    async def _conversation(self, column: ColumnTab) -> Change:
        if not column.conversation:
            return Change()
        try:
            stored = await self._answering.settled(column.person, column.conversation)
        except NotFound:
            return Change(tab=fresh(column), messages=[], busy=False, notice=Notice())
        except StudioError as error:
            return failed(error).but(tab=column, busy=False)
        return showing(column, stored)

    async def _stored(self, column: ColumnTab) -> StoredConversation | None:
        if not column.conversation:
            return None
        return await self._client.conversation(column.person, column.conversation)


def fresh(column: ColumnTab) -> ColumnTab:
    """The column without its conversation, with its settings."""
    return column.model_copy(update={"conversation": None, "path": (), "rated": None})


def choice_of(model: str | None, temperature: float, top_p: float, max_tokens: float) -> Choice:
    """What a column's settings ask for."""
    sampling = Sampling(temperature=temperature, top_p=top_p, max_tokens=int(max_tokens))
    return Choice(model or "", sampling)


def _tab_of(change: Change, column: ColumnTab) -> ColumnTab:
    return change.tab if isinstance(change.tab, ColumnTab) else column


def _with_defaults(column: ColumnTab, number: int, served: list[ModelInfo]) -> ColumnTab:
    """A served model and a temperature; no two columns are alike without being asked to be."""
    names = [model.id for model in served]
    if not names:
        return column
    model = column.model if column.model in names else names[number % len(names)]
    given = OTHER_TEMPERATURE if number >= len(names) else 0.0
    temperature = given if column.temperature is None else column.temperature
    return column.model_copy(update={"model": model, "temperature": temperature})


def _last_answer(conversation: StoredConversation | None) -> str:
    if conversation is None or not conversation.turns:
        return ""
    answer = chosen_answer(conversation.turns[-1])
    return answer.text if answer else ""
