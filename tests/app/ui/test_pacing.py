"""Batches of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from app.ui.pacing import paced


async def counting(
    numbers: int, pause: float, closed: list[bool], error: Exception | None = None
) -> AsyncGenerator[int, None]:
    try:
        for number in range(numbers):
            yield number
            await asyncio.sleep(pause)
        if error:
            raise error
    finally:
        closed.append(True)


async def test_all_events_in_order_in_fewer_batches() -> None:
    closed: list[bool] = []
    batches = [batch async for batch in paced(counting(50, 0.001, closed), 0.02)]
    assert [number for batch in batches for number in batch] == list(range(50))
    assert batches[0] == [0] and len(batches) < 25 and closed == [True]


async def test_silence_gives_empty_batches() -> None:
    source = paced(counting(1, 0.2, []), 0.0, heartbeat_seconds=0.03)
    batches = [batch async for batch in source]
    assert batches.count([]) >= 3 and [0] in batches and batches.count([]) == len(batches) - 1


async def test_an_error_comes_after_the_events_before_it() -> None:
    seen: list[int] = []
    with pytest.raises(ValueError, match="late"):
        async for batch in paced(counting(3, 0.0, [], ValueError("late")), 0.0):
            seen += batch
    assert seen == [0, 1, 2]


async def test_closing_closes_the_source_at_once() -> None:
    closed: list[bool] = []
    batches = paced(counting(1000, 10.0, closed), 0.0)
    assert await anext(batches) == [0]
    await batches.aclose()
    assert closed == [True]
