"""Battles and votes over the controller's HTTP interface (docs/arena.md)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated

from pydantic import Field, TypeAdapter

from app.battle_protocol import (
    Battle,
    BattleDone,
    BattleEvent,
    BattleRequest,
    TurnRequest,
    VoteRequest,
    VoteResult,
)
from app.errors import WorkerLost, from_wire
from app.protocol import ChatMessage
from app.ui.client import ControllerClient
from app.ui.language import PageError

_EVENT: TypeAdapter[BattleEvent] = TypeAdapter(Annotated[BattleEvent, Field(discriminator="type")])


class ArenaClient:
    """The arena's part of the controller as methods; every one raises :class:`StudioError`."""

    def __init__(self, controller: ControllerClient) -> None:
        self._controller = controller

    async def models(self) -> list[str]:
        """The names of the models that are served now."""
        return [model.id for model in await self._controller.list_models()]

    def begin(self, person: str, message: ChatMessage) -> AsyncGenerator[BattleEvent, None]:
        """A new blind battle: its events; closing the iterator stops both models."""
        request = BattleRequest(messages=[message])
        return self._follow(person, "/api/battles", request)

    def go_on(
        self, person: str, battle_id: str, message: ChatMessage
    ) -> AsyncGenerator[BattleEvent, None]:
        """The next turn of a battle."""
        request = TurnRequest(messages=[message])
        return self._follow(person, f"/api/battles/{battle_id}/turns", request)

    async def battle(self, person: str, battle_id: str) -> Battle:
        """The battle as its person may see it now."""
        path = f"/api/battles/{battle_id}"
        return await self._controller.call(Battle, "GET", path, person=person)

    async def vote(self, person: str, battle_id: str, vote: VoteRequest) -> VoteResult:
        """Cast a vote, or change it; the same ``key`` again does nothing."""
        path = f"/api/battles/{battle_id}/vote"
        return await self._controller.call(VoteResult, "POST", path, person=person, body=vote)

    async def _follow(
        self, person: str, path: str, request: TurnRequest
    ) -> AsyncGenerator[BattleEvent, None]:
        lines = self._controller.stream(person, path, request)
        async with aclosing(lines), aclosing(read_battle(lines)) as events:
            async for event in events:
                yield event


async def read_battle(lines: AsyncIterator[str]) -> AsyncGenerator[BattleEvent, None]:
    """The events in the lines of a server-sent stream of a turn.

    Raises the :class:`app.errors.StudioError` that the stream reports, and
    :class:`app.errors.WorkerLost` where it breaks off.
    """
    done = False
    async for line in lines:
        if not line.startswith("data:"):
            continue
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            return
        event = _event(data)
        yield event
        done = done or isinstance(event, BattleDone)
    if not done:
        raise WorkerLost("The connection ended before the answers did.")


def _event(data: str) -> BattleEvent:
    if data.startswith('{"error"'):
        raise from_wire(_body(data))
    try:
        return _EVENT.validate_json(data)
    except ValueError as error:
        raise PageError("refusals.no_answer") from error


def _body(data: str) -> dict[str, object]:
    return TypeAdapter(dict[str, object]).validate_json(data)
