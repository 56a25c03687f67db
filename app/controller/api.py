"""The controller's HTTP interface: chat, models, conversations, ratings, and the workers' desk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from app.controller.arena.api import arena_routes, leaderboard_routes
from app.controller.arena.arena import Arena
from app.controller.chat import Chat
from app.controller.conversations import conversation_routes, picture_routes
from app.controller.door import Door
from app.controller.explaining import Explaining
from app.controller.exporting import export_routes
from app.controller.guard import Guard
from app.controller.people import people_routes
from app.controller.receiving import receiving_routes
from app.controller.registry import Registry
from app.controller.relay import Relay
from app.controller.requests import person_of, read_message, validated
from app.controller.responses import ClientGone, EventResponse, unless_gone
from app.controller.retention import sweeping
from app.controller.run import Services
from app.controller.sharing import share_routes, shared_routes
from app.controller.wire import events, whole
from app.db.battle_store import BattleStore
from app.db.store import Store
from app.db.vote_store import VoteStore
from app.errors import BadRequest, NotFound, StudioError
from app.http import body_limit, check_secret, error_response, read_body, request_id
from app.machines import MachineList
from app.protocol import (
    ChatRequest,
    Explanation,
    Lease,
    ModelList,
    Rating,
    RatingRequest,
    WorkerStatus,
)
from app.ratings.live import LiveLeaderboard
from app.settings import Settings


def create_app(
    settings: Settings, clock: Callable[[], float] = time.monotonic, store: Store | None = None
) -> FastAPI:
    """The controller app. Raises :class:`StudioError` where its database cannot be opened."""
    store = store or Store.open(settings)
    store.close_unfinished()
    registry = Registry(clock, settings.lease_seconds)
    # Never through a proxy of the environment: workers are the project's own machines.
    client = httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=None))
    relay = Relay(client, settings.secret, settings.answer_timeout_seconds)
    services = Services(store, registry, relay)
    chat = Chat(services, settings)
    live = LiveLeaderboard(store.database)
    arena = Arena(chat, BattleStore(store.database), settings, live.pair_scores)
    votes = VoteStore(store.database, settings.votes_per_day)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        warming = asyncio.create_task(asyncio.to_thread(live.warm))
        async with sweeping(store, settings.retention_days):
            yield
        live.stop()
        await warming
        await chat.close()
        await client.aclose()
        store.close()

    app = FastAPI(title="LLaVA Studio", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(Door, settings=settings, people=store.people)
    app.add_middleware(Guard)
    app.state.chat, app.state.registry, app.state.store = chat, registry, store
    app.include_router(_public(settings, chat))
    app.include_router(conversation_routes(chat))
    app.include_router(picture_routes(chat))
    app.include_router(receiving_routes(services))
    app.include_router(share_routes(store))
    app.include_router(shared_routes(store))
    app.include_router(export_routes(store))
    app.include_router(people_routes(settings, store.people, clock))
    app.include_router(_explanations(Explaining(services)))
    app.include_router(arena_routes(arena, votes, settings))
    app.include_router(leaderboard_routes(live, settings.data_dir))
    app.include_router(_workers(settings, registry))
    for kind in (StudioError, Exception):
        app.add_exception_handler(kind, error_response)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _http_error)
    app.add_exception_handler(ClientGone, lambda _request, _error: Response(status_code=499))
    return app


def _public(settings: Settings, chat: Chat) -> APIRouter:
    router = APIRouter()

    @router.get("/health")
    async def health() -> dict[str, object]:
        registry = chat.registry
        return {
            "status": "ok",
            "workers": len(registry.workers()),
            "models": len(registry.models()),
        }

    @router.get("/v1/models")
    async def models() -> ModelList:
        return ModelList(data=chat.registry.models())

    @router.get("/api/machines")
    async def machines() -> MachineList:
        return MachineList(data=chat.registry.machines())

    @router.post("/v1/chat/completions", response_model=None)
    async def chat_completions(request: Request) -> Response:
        body = await read_body(request, body_limit(settings))
        wanted = await asyncio.to_thread(validated, ChatRequest, body)
        person = person_of(request, wanted.user)
        run = await unless_gone(request, chat.begin(wanted, person, request_id(request)))
        if not wanted.stream:
            try:
                answer = await unless_gone(request, whole(run))
            finally:
                run.cancel()
            return JSONResponse(answer.model_dump(exclude_none=True))
        usage = bool(wanted.stream_options and wanted.stream_options.include_usage)
        return EventResponse(events(run, usage), run.cancel)

    @router.post("/api/ratings")
    async def rate(request: Request) -> Rating:
        rating = await read_message(request, RatingRequest)
        return await asyncio.to_thread(chat.store.rate, person_of(request), rating)

    @router.delete("/api/ratings/{answer_id}", status_code=204)
    async def unrate(answer_id: str, request: Request) -> None:
        await asyncio.to_thread(chat.store.unrate, person_of(request), answer_id)

    return router


def _explanations(explaining: Explaining) -> APIRouter:
    router = APIRouter(prefix="/api")

    @router.get("/answers/{answer_id}/explanation")
    async def explanation(answer_id: str, request: Request) -> Explanation:
        work = explaining.explain(person_of(request), answer_id, request_id(request))
        return await unless_gone(request, work)

    return router


def _workers(settings: Settings, registry: Registry) -> APIRouter:
    router = APIRouter(prefix="/internal")

    @router.post("/workers")
    async def register(request: Request) -> Lease:
        check_secret(request, settings.secret)
        return registry.register(await read_message(request, WorkerStatus))

    @router.delete("/workers/{worker_id}", status_code=204)
    async def leave(worker_id: str, request: Request) -> None:
        check_secret(request, settings.secret)
        registry.leave(worker_id)

    return router


def _http_error(request: Request, error: Exception) -> Response:
    """Starlette's and FastAPI's own errors, in our shape."""
    if isinstance(error, HTTPException) and error.status_code in (404, 405):
        shown: StudioError = NotFound(
            f"There is no {request.method} {request.url.path}.", "See docs/serving.md."
        )
    else:
        shown = BadRequest("The request is not valid.")
    return error_response(request, shown)
