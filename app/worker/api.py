"""The worker's HTTP interface: OpenAI chat completions over the models of one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from app.errors import BadRequest, StudioError
from app.http import body_limit, check_secret, error_response, read_body, request_id
from app.protocol import (
    REQUEST_ID_HEADER,
    ExplainedWord,
    Explanation,
    ModelList,
)
from app.received import ReceivedPicture
from app.settings import Settings
from app.worker.backend import Backend, EngineBackend
from app.worker.engine import EngineQueue
from app.worker.metrics import TYPE, metrics
from app.worker.received import received_picture
from app.worker.requests import conversation_of, parse, sampling_of
from app.worker.service import Service
from app.worker.ticket import Ticket
from app.worker.wire import events, whole
from llava_core.conversation import Conversation

FIRST_PIECE_SECONDS = 2.0
"""How long a stream waits for its first piece before it opens without one."""

T = TypeVar("T")


def create_app(
    settings: Settings,
    backends: Sequence[Backend | EngineBackend] = (),
    *,
    service: Service | None = None,
) -> FastAPI:
    """The worker app. Without ``backends`` it says that it is loading until its service is opened.

    ``app.state.service`` is the :class:`app.worker.service.Service`.
    """
    service = service or Service(settings)
    if backends:
        service.open(backends)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(service.close)

    app = FastAPI(title="LLaVA Studio worker", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.service = service
    app.include_router(_router(settings, service))
    app.add_exception_handler(StudioError, error_response)
    app.add_exception_handler(Exception, error_response)
    app.add_exception_handler(_ClientGone, _gone_response)
    return app


def _router(settings: Settings, service: Service) -> APIRouter:
    router = APIRouter()

    async def check(request: Request) -> None:
        check_secret(request, settings.secret)

    guarded = [Depends(check)]

    @router.get("/health")
    async def health() -> dict[str, object]:
        status = service.status()
        return {
            "status": service.phase,
            "models": len(status.models),
            "active": status.active,
            "waiting": status.waiting,
        }

    @router.get("/v1/models", dependencies=guarded)
    async def models() -> ModelList:
        return ModelList(data=service.status().models)

    @router.get("/metrics", dependencies=guarded)
    async def figures() -> Response:
        return Response(metrics(service.queues), media_type=TYPE)

    @router.post("/v1/chat/completions", dependencies=guarded, response_model=None)
    async def chat_completions(request: Request) -> Response:
        return await _answer(request, settings, service)

    @router.post("/v1/explanations", dependencies=guarded)
    async def explanations(request: Request) -> Explanation:
        return await _explain(request, settings, service)

    @router.post("/v1/received", dependencies=guarded)
    async def received(request: Request) -> ReceivedPicture:
        return await _receive(request, settings, service)

    return router


async def _for_engine(
    request: Request, settings: Settings, service: Service, what: str, answered: bool = False
) -> tuple[EngineQueue, Conversation]:
    """What is asked, and the queue of its model, which must run in the engine to tell ``what``."""
    chat = await asyncio.to_thread(parse, await read_body(request, body_limit(settings)))
    queue = service.queue_for(chat.model)
    if not isinstance(queue, EngineQueue):
        raise BadRequest(
            f"{queue.info.id} cannot tell {what}.",
            "Ask a model that runs in the engine; the worker's log says which do.",
        )
    conversation = await asyncio.to_thread(
        conversation_of, chat.messages, settings, service.pictures, answered=answered
    )
    return queue, conversation


async def _receive(request: Request, settings: Settings, service: Service) -> ReceivedPicture:
    """How the last picture of the messages reaches the model; same body as for an answer."""
    queue, conversation = await _for_engine(
        request, settings, service, "what it receives of a picture"
    )
    if not conversation.images:
        raise BadRequest("There is no picture in the messages.", "Send one.")
    return await asyncio.to_thread(
        received_picture, queue.engine.checkpoint, queue.info.id, conversation.images[-1]
    )


async def _explain(request: Request, settings: Settings, service: Service) -> Explanation:
    """Where the answer that ends the messages looked; same body as for an answer."""
    queue, conversation = await _for_engine(
        request, settings, service, "where an answer looked", answered=True
    )
    words = await _unless_gone(request, queue.explain(conversation))
    views = await asyncio.to_thread(queue.engine.checkpoint.views, conversation)
    told = [ExplainedWord(text=w.text, share=w.share, grids=list(w.grids)) for w in words]
    return Explanation(model=queue.info.id, views=views, words=told)


async def _answer(request: Request, settings: Settings, service: Service) -> Response:
    body = await read_body(request, body_limit(settings))
    chat = await asyncio.to_thread(parse, body)
    service.queue_for(chat.model)
    conversation = await asyncio.to_thread(
        conversation_of, chat.messages, settings, service.pictures
    )
    # Asked again: the worker may have begun to drain while the pictures were decoded.
    queue = service.queue_for(chat.model)
    ticket = await queue.submit(conversation, sampling_of(chat, settings), request_id(request))
    model = queue.info.id
    headers = {REQUEST_ID_HEADER: ticket.request_id}
    if not chat.stream:
        answer = await _unless_gone(request, whole(ticket, model), ticket.cancel)
        return JSONResponse(answer.model_dump(exclude_none=True), headers=headers)
    await _unless_gone(request, ticket.opened(FIRST_PIECE_SECONDS), ticket.cancel)
    wants_usage = bool(chat.stream_options and chat.stream_options.include_usage)
    return _EventResponse(ticket, events(ticket, model, wants_usage), headers)


async def _unless_gone(
    request: Request, work: Coroutine[Any, Any, T], cancel: Callable[[], None] = lambda: None
) -> T:
    """The result of ``work``; where the client leaves before, it is ended, and ``cancel`` called.

    Raises :class:`_ClientGone` then, and whatever ``work`` raises.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait([task, gone], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise _ClientGone
        return task.result()
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()
            cancel()


async def _disconnected(request: Request) -> None:
    """Returns when the client has closed the connection; the body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


class _ClientGone(Exception):
    """The client closed the connection before the answer began."""


class _EventResponse(StreamingResponse):
    """Server-sent events; however the stream ends, the generation behind it ends too."""

    def __init__(
        self, ticket: Ticket, content: AsyncIterator[str], headers: dict[str, str]
    ) -> None:
        unbuffered = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(content, headers=headers | unbuffered, media_type="text/event-stream")
        self._ticket = ticket

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ticket.cancel()


def _gone_response(request: Request, error: Exception) -> Response:
    """Nobody reads it; 499 is what proxies write into their logs for a client that left."""
    return Response(status_code=499)
