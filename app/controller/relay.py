"""One request to one worker, and its answer as it comes back."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import ValidationError

from app.controller.registry import Choice
from app.errors import StudioError, WorkerLost, from_wire
from app.protocol import REQUEST_ID_HEADER, ChatChunk, FinishReason, TokenLogprob, Usage


@dataclass(frozen=True)
class Opened:
    """The worker has taken the request."""


@dataclass(frozen=True)
class Text:
    """More of the answer: text, and log-probabilities of its tokens where they are asked for."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True)
class Finished:
    """The model has ended its answer."""

    reason: FinishReason


@dataclass(frozen=True)
class Counted:
    """The answer's token counts."""

    usage: Usage


Event = Opened | Text | Finished | Counted


class Relay:
    """Streams answers from workers over one pool of connections."""

    def __init__(self, client: httpx.AsyncClient, secret: str, silence_seconds: float) -> None:
        self._client = client
        self._secret = secret
        self._timeout = httpx.Timeout(5.0, read=silence_seconds, write=30.0)

    async def stream(
        self, choice: Choice, body: dict[str, Any], request_id: str
    ) -> AsyncGenerator[Event, None]:
        """The worker's answer; closing the iterator closes the connection, which cancels the work.

        Raises :class:`WorkerLost` where the worker cannot be reached, goes away or falls silent,
        and the worker's own error as it says it.
        """
        body = {**body, "stream": True, "stream_options": {"include_usage": True}}
        headers = {REQUEST_ID_HEADER: request_id}
        if self._secret:
            headers["Authorization"] = f"Bearer {self._secret}"
        written = False
        try:
            async with self._client.stream(
                "POST",
                f"{choice.url.rstrip('/')}/v1/chat/completions",
                json=body,
                headers=headers,
                timeout=self._timeout,
            ) as response:
                if response.status_code != 200:
                    raise _refusal(await response.aread(), response.status_code)
                yield Opened()
                async for event in _events(response):
                    written = written or isinstance(event, Text)
                    yield event
        except httpx.TimeoutException as error:
            raise _lost(written, "has been silent for too long") from error
        except httpx.TransportError as error:
            raise _lost(written, "went away") from error


async def _events(response: httpx.Response) -> AsyncIterator[Event]:
    finished = False
    async for line in response.aiter_lines():
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == "[DONE]":
            break
        for event in _parse(data):
            finished = finished or isinstance(event, Finished)
            yield event
    if not finished:
        raise WorkerLost("The worker ended its answer in the middle.")


def _parse(data: str) -> list[Event]:
    try:
        body = json.loads(data)
        if "error" in body:
            raise from_wire(body)
        chunk = ChatChunk.model_validate(body)
    except (ValueError, ValidationError) as error:
        raise WorkerLost("The worker sent something that is not an answer.") from error
    events: list[Event] = []
    for choice in chunk.choices:
        logprobs = tuple(choice.logprobs.content) if choice.logprobs else ()
        if choice.delta.content or logprobs:
            events.append(Text(choice.delta.content or "", logprobs))
        if choice.finish_reason:
            events.append(Finished(choice.finish_reason))
    if chunk.usage:
        events.append(Counted(chunk.usage))
    return events


def _refusal(content: bytes, status: int) -> StudioError:
    try:
        error = from_wire(json.loads(content))
    except (ValueError, AttributeError):
        return WorkerLost(f"The worker answered with HTTP {status}.")
    return error


def _lost(written: bool, how: str) -> WorkerLost:
    if written:
        return WorkerLost(f"The worker {how} in the middle of the answer.")
    return WorkerLost(f"The worker {how} before its first word.", "Send again in some seconds.")
