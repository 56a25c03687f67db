"""A stream of events in batches: often enough to read along, never more often than it helps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import TypeVar

T = TypeVar("T")

BATCH_SECONDS = 0.05
"""The least time between two updates of the page: 20 a second."""
HEARTBEAT_SECONDS = 1.0
"""After this silence an empty batch comes, so that a closed tab is noticed while a model thinks."""


async def paced(
    source: AsyncGenerator[T, None],
    batch_seconds: float = BATCH_SECONDS,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> AsyncGenerator[list[T], None]:
    """All events of ``source`` in order, in batches; the first at once.

    Raises what the source raises, after the events before it. Closing this closes the source.
    """
    news: asyncio.Queue[T | _End] = asyncio.Queue()
    pump = asyncio.create_task(_pump(source, news))
    try:
        while True:
            batch, end = await _next_batch(news, heartbeat_seconds)
            yield batch
            if end:
                if end.error:
                    raise end.error
                return
            await asyncio.sleep(batch_seconds)
    finally:
        pump.cancel()
        with suppress(asyncio.CancelledError):
            await pump


class _End:
    """The source has ended, by an error or by itself."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error


async def _pump(source: AsyncGenerator[T, None], news: asyncio.Queue[T | _End]) -> None:
    try:
        async with aclosing(source):
            async for event in source:
                news.put_nowait(event)
    except Exception as error:
        news.put_nowait(_End(error))
    else:
        news.put_nowait(_End())


async def _next_batch(
    news: asyncio.Queue[T | _End], patience: float
) -> tuple[list[T], _End | None]:
    """What has come since the last batch, waiting for the first of it; and the end, if it came."""
    batch: list[T] = []
    with suppress(asyncio.TimeoutError):
        item = await asyncio.wait_for(news.get(), patience)
        while not isinstance(item, _End):
            batch.append(item)
            if news.empty():
                return batch, None
            item = news.get_nowait()
        return batch, item
    return batch, None
