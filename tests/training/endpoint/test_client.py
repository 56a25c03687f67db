"""What goes over the wire, and what its parts are worth before anything is sent."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from tests.scripted_endpoint import ScriptedEndpoint
from training.endpoint.client import Address, Endpoint, retry_after
from training.endpoint.progress import duration
from training.endpoint.request import Request, Sampling, Usage

NOW = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"Retry-After": "7", "retry-after-ms": "20"}, 0.02),
        ({"Retry-After": "Tue, 01 Jan 2030 12:00:30 GMT"}, 30.0),
        ({"Retry-After": "Tue, 01 Jan 2030 11:00:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


def test_one_request_on_the_wire() -> None:
    sampling = Sampling(50, 0.2, extra=(("max_tokens", None), ("max_completion_tokens", 50)))
    request = Request("a", ({"role": "user", "content": "Hello you"},))

    async def ask(url: str) -> tuple[str, str, Usage]:
        endpoint = Endpoint(Address(url, "m", "secret"), sampling)
        reply = await endpoint.reply(request)
        await endpoint.close()
        return reply.text, reply.model, reply.usage

    with ScriptedEndpoint(key="secret") as server:
        assert asyncio.run(ask(server.url)) == ("You said: Hello you", "m", Usage(2, 4))
        assert server.asked[0].body == {
            "model": "m",
            "messages": [{"role": "user", "content": "Hello you"}],
            "temperature": 0.2,
            "max_completion_tokens": 50,
            "stream": True,
            "stream_options": {"include_usage": True},
        }


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(Address("http://x", "m", "secret"))


@pytest.mark.parametrize(("seconds", "words"), [(5.2, "5 s"), (119, "2 min"), (7261, "2 h 01 min")])
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words
