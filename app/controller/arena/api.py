"""The arena's HTTP interface: battles, comparisons and votes; docs/arena.md shows each message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError

from app.battle_protocol import (
    Battle,
    BattleRequest,
    BattleSummary,
    ComparisonRequest,
    TurnRequest,
    VoteRequest,
    VoteResult,
)
from app.controller.arena.arena import Arena
from app.controller.arena.stream import BattleStream
from app.controller.requests import person_of, read_message, validated
from app.controller.responses import EventResponse, unless_gone
from app.db.battle_views import summary_view
from app.db.vote_store import VoteStore
from app.errors import DatabaseBusy, StorageFailed
from app.http import body_limit, invalid, read_body, request_id
from app.leaderboard_protocol import Evaluations, Leaderboard, Slice
from app.ratings.evaluations import evaluations, read_evaluations
from app.ratings.live import LiveLeaderboard
from app.settings import Settings

DONE = "data: [DONE]\n\n"


def arena_routes(arena: Arena, votes: VoteStore, settings: Settings) -> APIRouter:
    """Everything under /api that has to do with battles."""
    router = APIRouter(prefix="/api")

    @router.post("/battles", response_model=None)
    async def begin(request: Request) -> Response:
        body = await read_body(request, body_limit(settings))
        wanted = await asyncio.to_thread(validated, BattleRequest, body)
        work = arena.begin(wanted, person_of(request), request_id(request))
        return _stream(await unless_gone(request, work))

    @router.post("/battles/{battle_id}/turns", response_model=None)
    async def go_on(battle_id: str, request: Request) -> Response:
        body = await read_body(request, body_limit(settings))
        wanted = await asyncio.to_thread(validated, TurnRequest, body)
        work = arena.go_on(battle_id, wanted, person_of(request), request_id(request))
        return _stream(await unless_gone(request, work))

    @router.get("/battles")
    async def battles(request: Request) -> list[BattleSummary]:
        rows = await asyncio.to_thread(arena.battles.list, person_of(request))
        return [summary_view(battle, choice) for battle, choice in rows]

    @router.get("/battles/{battle_id}")
    async def battle(battle_id: str, request: Request) -> Battle:
        return await arena.view(battle_id, person_of(request))

    @router.post("/comparisons")
    async def compare(request: Request) -> Battle:
        wanted = await read_message(request, ComparisonRequest)
        return await arena.compare(wanted, person_of(request))

    @router.post("/battles/{battle_id}/vote")
    async def vote(battle_id: str, request: Request) -> VoteResult:
        wanted = await read_message(request, VoteRequest)
        try:
            return await asyncio.to_thread(votes.cast, person_of(request), battle_id, wanted)
        except (DatabaseBusy, StorageFailed) as error:
            raise type(error)(
                f"Your vote was not stored. {error.message}", "Cast it again in a moment."
            ) from error

    return router


def _stream(battle: BattleStream) -> Response:
    return EventResponse(_lines(battle), battle.cancel, battle.close)


async def _lines(battle: BattleStream) -> AsyncIterator[str]:
    async for event in battle.events():
        yield f"data: {event.model_dump_json(exclude_none=True)}\n\n"
    yield DONE


def leaderboard_routes(live: LiveLeaderboard, data_dir: Path) -> APIRouter:
    """The leaderboard, and evaluations of the data folder beside it."""
    router = APIRouter(prefix="/api")

    @router.get("/leaderboard")
    async def leaderboard(request: Request) -> Leaderboard:
        try:
            wanted = Slice.model_validate({k: v for k, v in request.query_params.items() if v})
        except ValidationError as error:
            raise invalid(error) from error
        return await asyncio.to_thread(live.get, wanted)

    @router.get("/evaluations")
    async def evaluated() -> Evaluations:
        rows = await asyncio.to_thread(read_evaluations, data_dir)
        return await asyncio.to_thread(lambda: evaluations(rows, live.get(Slice())))

    return router
