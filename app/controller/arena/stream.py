"""The events of one turn of a battle: both answers as they come, masked and at one pace."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from app.battle_protocol import (
    SIDES,
    BattleBegun,
    BattleDone,
    BattleEvent,
    Pair,
    Side,
    SideEnded,
    SideText,
)
from app.controller.arena.masking import Mask
from app.controller.arena.pace import Pace
from app.controller.relay import Text
from app.controller.run import Run
from app.db.battle_store import BattleState
from app.db.battle_views import error_of
from app.db.vote_store import NOT_COUNTED
from app.errors import StudioError
from app.protocol import FinishReason

log = logging.getLogger(__name__)

TICK_SECONDS = 0.05
"""How often text that is held back is looked at."""


@dataclass(frozen=True)
class Failed:
    """A side whose answer could not be begun."""

    error: StudioError


@dataclass
class _SideState:
    mask: Mask | None
    reason: FinishReason | None = None
    error: StudioError | None = None
    told: bool = False


Finish = Callable[[list[Side]], Awaitable[None]]


@dataclass
class BattleStream:
    """One turn in work. ``finish`` is called once, with the sides that named a model."""

    battle: BattleState
    turn: int
    runs: Mapping[Side, Run | Failed]
    finish: Finish
    clock: Callable[[], float] = time.monotonic
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        names = tuple(self.battle.models.values())
        blind = self.battle.blind
        self._states = {side: _SideState(Mask(names) if blind else None) for side in SIDES}
        self._pace = Pace(self.clock)

    def cancel(self) -> None:
        """Nobody waits for the battle any more: both answers end."""
        for run in self.runs.values():
            if isinstance(run, Run):
                run.cancel()

    async def events(self) -> AsyncIterator[BattleEvent]:
        """From the first event to the last."""
        yield self._begun()
        readers = [asyncio.create_task(self._read(side)) for side in SIDES]
        try:
            while not all(state.told for state in self._states.values()):
                await self._something()
                for event in self._ready():
                    yield event
            for reader in readers:
                reader.result()
            await self.close()
            yield self._done()
        finally:
            for reader in readers:
                reader.cancel()

    async def close(self) -> None:
        """Store what was seen of the turn."""
        finish, self.finish = self.finish, _nothing
        states = self._states.items()
        await finish([side for side, state in states if state.mask and state.mask.hit])

    def _begun(self) -> BattleBegun:
        models = self.battle.models
        told = None if self.battle.blind else Pair(left=models["left"], right=models["right"])
        return BattleBegun(
            battle_id=self.battle.id, turn=self.turn, kind=self.battle.kind, models=told
        )

    async def _something(self) -> None:
        """Until a side has said something; while text is held back, for a tick at most."""
        try:
            await asyncio.wait_for(
                self._changed.wait(), TICK_SECONDS if self._pace.holds() else None
            )
        except TimeoutError:
            return
        self._changed.clear()

    def _ready(self) -> list[BattleEvent]:
        """What may be told now."""
        events: list[BattleEvent] = [
            SideText(side=side, text=text) for side, text in self._pace.show()
        ]
        for side, state in self._states.items():
            if state.reason is not None and not state.told and self._pace.over(side):
                state.told = True
                events.append(
                    SideEnded(
                        side=side,
                        finish_reason=state.reason,
                        masked=bool(state.mask and state.mask.hit),
                        error=error_of(state.error) if state.error else None,
                    )
                )
        return events

    async def _read(self, side: Side) -> None:
        """One side's answer, from its run to the pace."""
        state, run = self._states[side], self.runs[side]
        try:
            if isinstance(run, Failed):
                raise run.error
            async for event in run.events():
                if isinstance(event, Text):
                    self._take(side, event.text)
            state.reason = run.progress.finish_reason or "cancelled"
        except StudioError as error:
            log.warning("battle %s, %s side: %s", self.battle.id, side, error)
            state.reason, state.error = "error", error
        finally:
            if state.mask is not None:
                self._pace.take(side, state.mask.finish())
            self._pace.end(side, failed=state.reason == "error" or not self.battle.blind)
            self._changed.set()

    def _take(self, side: Side, text: str) -> None:
        mask = self._states[side].mask
        self._pace.take(side, mask.feed(text) if mask else text)
        self._changed.set()

    def _done(self) -> BattleDone:
        reasons = {state.reason for state in self._states.values()}
        code = "side_failed" if "error" in reasons else None
        code = code or ("side_stopped" if "cancelled" in reasons else None)
        return BattleDone(counts=code is None, why_not=NOT_COUNTED[code] if code else None)


async def _nothing(sides: list[Side]) -> None:
    """The turn is stored already."""
