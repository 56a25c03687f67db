"""The stream of an answer, read line by line."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from app.errors import StudioError, WorkerLost
from app.ui.events import Accepted, AnswerEvent, Finished, Written, read_events


def line(content: str | None = None, reason: str | None = None, **more: object) -> str:
    choice = {"delta": {"content": content}, "finish_reason": reason}
    body = {"id": "a1", "created": 1, "model": "m", "choices": [choice], "conversation_id": "c1"}
    return "data: " + json.dumps(body | more)


async def events(*lines: str) -> list[AnswerEvent]:
    async def source() -> AsyncIterator[str]:
        for each in lines:
            yield each

    return [event async for event in read_events(source())]


async def test_a_whole_answer() -> None:
    read = await events(
        ": waiting in the queue",
        "",
        line(""),
        "event: chunk",
        line("Red"),
        line("."),
        line(None, "stop"),
        line(choices=[], usage={"prompt_tokens": 3}),
        "data: [DONE]",
    )
    assert read == [Accepted("a1", "c1", "m"), Written("Red"), Written("."), Finished("stop")]


async def test_an_end_without_done_is_an_end() -> None:
    assert (await events(line("Red", "length")))[-1] == Finished("length")


async def test_a_stream_that_breaks_off_is_a_lost_worker() -> None:
    with pytest.raises(WorkerLost, match="ended before the answer did"):
        await events(line(""), line("Re"))


async def test_an_error_in_the_stream_is_raised_as_it_was_written() -> None:
    error = WorkerLost("The worker went away.")
    with pytest.raises(WorkerLost, match="went away"):
        await events(line("Re"), "data: " + json.dumps(error.to_wire("r1")), line("d"))


async def test_what_is_not_a_chunk_is_refused() -> None:
    with pytest.raises(StudioError, match="not an answer"):
        await events('data: {"id": "a1"}')
