"""Battles from the question to the last event: pair, both answers at one pace, and what is stored.

The two sides are ordinary answers (:class:`app.controller.run.Run`) in ordinary conversations, so
that thumbs, history and export know them. Until the vote these belong to the battle
(:mod:`app.db.battle_store`).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.battle_protocol import SIDES, BattleRequest, ComparisonRequest, Side, TurnRequest
from app.battle_protocol import Battle as BattleView
from app.controller.arena.masking import Mask
from app.controller.arena.pairs import PairVotes, candidates, draw_pair
from app.controller.arena.stream import BattleStream, Failed
from app.controller.chat import Chat
from app.controller.run import Run
from app.db.battle_page import battle_page
from app.db.battle_store import BattleState, BattleStore, NewAnswer, NewBattle
from app.db.battle_views import Hide
from app.errors import BattleRunning, EmptyMessage, StudioError
from app.prompts import describe_prompt
from app.protocol import ChatMessage, ChatRequest, ModelInfo, Sampling, TextContent
from app.settings import Settings

log = logging.getLogger(__name__)

TITLE_LENGTH = 80
SEEDS = 2**31
PairScores = Callable[[], Mapping[tuple[str, str], tuple[float, int]]]


@dataclass(frozen=True)
class Turn:
    """A turn about to be answered."""

    number: int
    owner: str
    models: Mapping[Side, str]
    conversations: Mapping[Side, str | None]
    parameters: Mapping[str, Any]
    message: ChatMessage


class Arena:
    """Begins battles and their turns. ``pair_scores`` tells votes so far, for the sampling rule."""

    def __init__(
        self,
        chat: Chat,
        battles: BattleStore,
        settings: Settings,
        pair_scores: PairScores = dict,
        rng: random.Random | None = None,
    ) -> None:
        self._chat, self.battles, self._settings = chat, battles, settings
        self._pair_scores = pair_scores
        self._rng = rng or random.SystemRandom()
        self._answering: set[str] = set()

    async def begin(self, request: BattleRequest, person: str, request_id: str) -> BattleStream:
        """A new battle and its first turn.

        Raises :class:`app.errors.OneModel` where there are not two models, and what a chat
        request would raise.
        """
        left, right = await asyncio.to_thread(self._pair, request)
        parameters = self._parameters(request)
        message = request.messages[0]
        title = " ".join(_text(message).split())
        if not title:
            raise EmptyMessage("The message is empty.")
        new = NewBattle(
            person=person,
            kind="named" if request.models else "blind",
            title=title[:TITLE_LENGTH],
            left=left,
            right=right,
            parameters=parameters,
        )
        battle_id = await asyncio.to_thread(self.battles.create, new)
        state = await asyncio.to_thread(self.battles.state, person, battle_id)
        return await self._answer(state, message, request_id)

    async def go_on(
        self, battle_id: str, request: TurnRequest, person: str, request_id: str
    ) -> BattleStream:
        """The next turn. Raises :class:`BattleRunning` while the one before is being answered."""
        state = await asyncio.to_thread(self.battles.state, person, battle_id)
        return await self._answer(state, request.messages[0], request_id)

    async def compare(self, request: ComparisonRequest, person: str) -> BattleView:
        """A named battle of two stored answers."""
        battle_id = await asyncio.to_thread(
            self.battles.compare, person, request.left_answer_id, request.right_answer_id
        )
        await asyncio.to_thread(self.describe, battle_id)
        return await self.view(battle_id, person)

    async def view(self, battle_id: str, person: str) -> BattleView:
        """The battle as its person may see it now."""
        database = self._chat.store.database
        return await asyncio.to_thread(battle_page, database, person, battle_id, hide_for)

    def describe(self, battle_id: str) -> None:
        """Store language and kind of a battle's first question. Blocks."""
        text, pictures = self.battles.question(battle_id)
        if text:
            self.battles.set_prompt(battle_id, describe_prompt(text, pictures))

    def _pair(self, request: BattleRequest) -> tuple[ModelInfo, ModelInfo]:
        registry = self._chat.registry
        if request.models is not None:
            left, right = (registry.pick(model).model for model in request.models)
            return left, right
        models = candidates(registry.models(), self._settings.arena_models)
        rule = self._settings.arena_sampling
        scores = self._pair_scores() if rule == "uncertainty" else {}
        votes = {pair: PairVotes(*found) for pair, found in scores.items()}
        return draw_pair(models, rule, votes, self._rng)

    def _parameters(self, request: BattleRequest) -> dict[str, Any]:
        """The same for both sides; the seed is drawn where none is given."""
        given = request.model_dump(exclude={"messages", "models"}, exclude_none=True)
        given.setdefault("seed", self._rng.randrange(SEEDS))
        given.setdefault("max_tokens", self._settings.default_max_tokens)
        return {key: value for key, value in given.items() if key in Sampling.model_fields}

    async def _answer(
        self, state: BattleState, message: ChatMessage, request_id: str
    ) -> BattleStream:
        if state.id in self._answering:
            raise BattleRunning("The turn before is still being answered.")
        self._answering.add(state.id)
        try:
            turn = Turn(
                number=state.turns + 1,
                owner=state.owner,
                models=state.models,
                conversations=state.conversations,
                parameters=state.parameters,
                message=message,
            )
            sides = await self._both(turn, request_id)
            stored = {side: _new_answer(sides[side]) for side in SIDES}
            try:
                await asyncio.to_thread(self.battles.begin_turn, state.id, turn.number, stored)
            except BaseException:
                _cancel(sides)
                raise
        except BaseException:
            self._answering.discard(state.id)
            raise
        number = turn.number
        return BattleStream(state, number, sides, lambda named: self._finish(state, number, named))

    async def _both(self, turn: Turn, request_id: str) -> dict[Side, Run | Failed]:
        """Both sides, begun at once. Raises where neither could begin: the request is wrong."""
        begun = await asyncio.gather(
            *(self._launch(turn, side, request_id) for side in SIDES), return_exceptions=True
        )
        sides: dict[Side, Run | Failed] = {}
        for side, result in zip(SIDES, begun, strict=True):
            if isinstance(result, StudioError):
                sides[side] = Failed(result)
            elif isinstance(result, BaseException):
                _cancel({s: r for s, r in zip(SIDES, begun, strict=True) if isinstance(r, Run)})
                raise result
            else:
                sides[side] = result
        failures = [side.error for side in sides.values() if isinstance(side, Failed)]
        if len(failures) == len(SIDES):
            raise failures[0]
        return sides

    async def _launch(self, turn: Turn, side: Side, request_id: str) -> Run:
        request = ChatRequest(
            model=turn.models[side],
            messages=[turn.message],
            conversation_id=turn.conversations[side],
            **turn.parameters,
        )
        return await self._chat.launch(request, turn.owner, f"{request_id}-{side}")

    async def _finish(self, state: BattleState, turn: int, named: list[Side]) -> None:
        """After the last word: store what the stream has seen of the turn."""
        self._answering.discard(state.id)
        try:
            await asyncio.to_thread(self.battles.mark_named, state.id, turn, named)
            if turn == 1:
                await asyncio.to_thread(self.describe, state.id)
        except StudioError as error:
            # The answers are stored, and a vote says itself whether it can be.
            log.error("battle %s: its marks could not be stored: %s", state.id, error)


def hide_for(left: str, right: str) -> Hide:
    """Hides the names of these models in whole texts."""

    def hide(text: str) -> tuple[str, bool]:
        mask = Mask((left, right))
        return mask.whole(text), mask.hit

    return hide


def _cancel(sides: Mapping[Side, Run | Failed]) -> None:
    for run in sides.values():
        if isinstance(run, Run):
            run.cancel()


def _new_answer(side: Run | Failed) -> NewAnswer:
    if isinstance(side, Failed):
        return NewAnswer(error=side.error.code)
    return NewAnswer(side.begun.conversation_id, side.begun.answer_id)


def _text(message: ChatMessage) -> str:
    return "\n".join(part.text for part in message.parts if isinstance(part, TextContent))
