"""One request to one worker, and its answer as it comes back."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from app.controller.registry import Choice
from app.errors import BadRequest, StudioError, UnknownModel, WorkerLost, from_wire
from app.protocol import (
    REQUEST_ID_HEADER,
    ChatChunk,
    Explanation,
    FinishReason,
    TokenLogprob,
    Usage,
)
from app.queue_place import QueuePlace
from app.received import ReceivedPicture


@dataclass(frozen=True)
class Opened:
    """The worker has taken the request."""


@dataclass(frozen=True)
class Waiting:
    """The request stands in the worker's queue."""

    place: QueuePlace


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


W = TypeVar("W", bound=BaseModel)

AGAIN = "Send again in some seconds."
Event = Opened | Waiting | Text | Finished | Counted


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
        written = False
        try:
            async with self._client.stream(
                "POST",
                f"{choice.url.rstrip('/')}/v1/chat/completions",
                json=body,
                headers=self._headers(request_id),
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

    async def explain(
        self, choice: Choice, messages: list[dict[str, Any]], request_id: str
    ) -> Explanation:
        """Where the answer that ends the messages looked, as the worker tells it.

        Raises :class:`WorkerLost` and the worker's own error, as :meth:`stream` does, and
        :class:`BadRequest` where the worker is an engine that cannot tell.
        """
        told = "where an answer looked"
        return await self._ask(Explanation, "explanations", told, choice, messages, request_id)

    async def received(
        self, choice: Choice, messages: list[dict[str, Any]], request_id: str
    ) -> ReceivedPicture:
        """How the picture of the messages reaches the model; raises as :meth:`explain` does."""
        told = "what it receives of a picture"
        return await self._ask(ReceivedPicture, "received", told, choice, messages, request_id)

    async def _ask(
        self,
        kind: type[W],
        path: str,
        told: str,
        choice: Choice,
        messages: list[dict[str, Any]],
        request_id: str,
    ) -> W:
        """The worker's reply at an address that only this project's workers have."""
        try:
            response = await self._client.post(
                f"{choice.url.rstrip('/')}/v1/{path}",
                json={"model": choice.model.id, "messages": messages},
                headers=self._headers(request_id),
                timeout=self._timeout,
            )
        except httpx.TimeoutException as error:
            raise WorkerLost("The worker has been silent for too long.", AGAIN) from error
        except httpx.TransportError as error:
            raise WorkerLost("The worker went away.", AGAIN) from error
        if response.status_code != 200:
            raise _untold(response, choice.model.id, told)
        try:
            return kind.model_validate_json(response.content)
        except ValidationError as error:
            raise WorkerLost(f"The worker did not tell {told}.") from error

    def _headers(self, request_id: str) -> dict[str, str]:
        secret = {"Authorization": f"Bearer {self._secret}"} if self._secret else {}
        return {REQUEST_ID_HEADER: request_id, **secret}


async def _events(response: httpx.Response) -> AsyncIterator[Event]:
    finished = False
    async for line in response.aiter_lines():
        if place := QueuePlace.from_line(line):
            yield Waiting(place)
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


def _untold(response: httpx.Response, model: str, told: str) -> StudioError:
    """Other engines have no such address: their bodies are not ours to read."""
    if response.status_code in (404, 405):
        refusal = _refusal(response.content, response.status_code)
        if isinstance(refusal, UnknownModel):
            return refusal
        return BadRequest(
            f"The engine behind {model} cannot tell {told}.",
            "Ask a model that runs in a worker of this project.",
        )
    return _refusal(response.content, response.status_code)


def _lost(written: bool, how: str) -> WorkerLost:
    if written:
        return WorkerLost(f"The worker {how} in the middle of the answer.")
    return WorkerLost(f"The worker {how} before its first word.", AGAIN)
