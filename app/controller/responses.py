"""Responses that end when the client leaves, and with them what was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

T = TypeVar("T")


class ClientGone(Exception):
    """The client closed the connection before the answer began."""


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``; it is cancelled where the client leaves before."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait([task, gone], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return task.result()
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()


async def _disconnected(request: Request) -> None:
    """Returns when the client has closed the connection; the body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


class EventResponse(StreamingResponse):
    """Server-sent events; however the stream ends, the answers behind it end too.

    ``cancel`` ends them; ``close`` is awaited afterwards, also where the client has left.
    """

    def __init__(
        self,
        content: AsyncIterator[str],
        cancel: Callable[[], None],
        close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        unbuffered = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(content, headers=unbuffered, media_type="text/event-stream")
        self._cancel, self._close = cancel, close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._cancel()
            if self._close is not None:
                await self._close()
