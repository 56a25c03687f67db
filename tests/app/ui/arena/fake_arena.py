"""An arena in memory, as the page's client of it sees the real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from app.battle_protocol import (
    Battle,
    BattleBegun,
    BattleDone,
    BattleEvent,
    BattleTurn,
    Models,
    SideAnswer,
    SideEnded,
    SideModel,
    SideText,
    Vote,
    VoteRequest,
    VoteResult,
)
from app.errors import NotFound, StudioError
from app.protocol import ChatMessage, TextContent
from app.ui.arena.client import ArenaClient

NOW = "2026-01-01T00:00:00Z"
MODELS = Models(
    left=SideModel(model="<b>one</b>", revision="r", precision="32bit", conversation_id="c1"),
    right=SideModel(model="two", revision="r", precision="8bit", conversation_id="c2"),
)


class FakeArena(ArenaClient):
    """Answers "red" and "blue". ``refuse`` is raised instead of a turn, ``vote_error`` instead of
    storing a vote, ``break_off`` in the middle of a turn."""

    def __init__(self) -> None:
        self.served = ["one", "two"]
        self.battles: dict[str, Battle] = {}
        self.votes: list[VoteRequest] = []
        self.refuse: StudioError | None = None
        self.vote_error: StudioError | None = None
        self.break_off: StudioError | None = None
        self.hold = False

    async def models(self) -> list[str]:
        return self.served

    async def begin(self, person: str, message: ChatMessage) -> AsyncGenerator[BattleEvent, None]:
        if self.refuse:
            raise self.refuse
        battle = Battle(id="bat_1", kind="blind", created_at=NOW, turns=[], can_vote=False)
        self.battles[battle.id] = battle
        async for event in self.go_on(person, battle.id, message):
            yield event

    async def go_on(
        self, person: str, battle_id: str, message: ChatMessage
    ) -> AsyncGenerator[BattleEvent, None]:
        if self.refuse:
            raise self.refuse
        turn = len(self.battles[battle_id].turns) + 1
        yield BattleBegun(battle_id=battle_id, turn=turn, kind="blind")
        yield SideText(side="left", text="re")
        self._add(battle_id, message, self.break_off is None)
        if self.break_off:
            raise self.break_off
        while self.hold:
            await asyncio.sleep(0.01)
        yield SideText(side="right", text="blue")
        yield SideText(side="left", text="d")
        for side in ("left", "right"):
            yield SideEnded(side=side, finish_reason="stop")  # type: ignore[arg-type]
        yield BattleDone(counts=True)

    async def battle(self, person: str, battle_id: str) -> Battle:
        if battle_id not in self.battles:
            raise NotFound("There is no such battle.")
        return self.battles[battle_id]

    async def vote(self, person: str, battle_id: str, vote: VoteRequest) -> VoteResult:
        self.votes.append(vote)
        if self.vote_error:
            raise self.vote_error
        battle = self.battles[battle_id]
        stored = Vote(
            id="vote_1",
            battle_id=battle_id,
            choice=vote.choice,
            reason=vote.reason,
            turn=len(battle.turns),
            counted=True,
            not_counted=None,
            changes=0,
            created_at=NOW,
        )
        named = {"vote": stored, "models": MODELS}
        self.battles[battle_id] = battle.model_copy(update=named)
        return VoteResult(vote=stored, models=MODELS)

    def _add(self, battle_id: str, message: ChatMessage, whole: bool) -> None:
        text = "".join(part.text for part in message.parts if isinstance(part, TextContent))
        left = SideAnswer(text="red" if whole else "re", finish_reason="stop" if whole else "error")
        turn = BattleTurn(
            text=text,
            images=[],
            left=left,
            right=SideAnswer(text="blue" if whole else "", finish_reason="stop"),
        )
        battle = self.battles[battle_id]
        update = {"turns": [*battle.turns, turn], "can_vote": True, "counts": whole}
        self.battles[battle_id] = battle.model_copy(update=update)
