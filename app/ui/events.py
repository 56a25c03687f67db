"""What the controller's stream of an answer says, one class per kind of news."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

from app.errors import WorkerLost, from_wire
from app.protocol import ChatChunk, FinishReason
from app.queue_place import QueuePlace
from app.ui.language import PageError


@dataclass(frozen=True)
class Accepted:
    """The question is stored; first of all events. ``answer_id`` names the answer to come."""

    answer_id: str
    conversation_id: str
    model: str


@dataclass(frozen=True)
class Waiting:
    """The request waits in the model's queue, at this place."""

    place: QueuePlace


@dataclass(frozen=True)
class Written:
    """More text of the answer."""

    text: str


@dataclass(frozen=True)
class Finished:
    """The answer has ended, and why."""

    reason: FinishReason


AnswerEvent = Accepted | Waiting | Written | Finished


async def read_events(lines: AsyncIterator[str]) -> AsyncGenerator[AnswerEvent, None]:
    """The events in the lines of a server-sent stream of chat chunks.

    Raises the :class:`app.errors.StudioError` that the stream reports, and
    :class:`app.errors.WorkerLost` where it breaks off before the answer has ended.
    """
    accepted = finished = False
    async for line in lines:
        # Empty lines end events, lines with a colon in front are comments, all others are fields.
        if not line.startswith("data:"):
            place = QueuePlace.from_line(line)
            if place:
                yield Waiting(place)
            continue
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            return
        chunk = _chunk(data)
        if not accepted:
            accepted = True
            yield Accepted(chunk.id, chunk.conversation_id or "", chunk.model)
        for event in _news(chunk):
            yield event
            finished = finished or isinstance(event, Finished)
    if not finished:
        raise WorkerLost("The connection ended before the answer did.")


def _chunk(data: str) -> ChatChunk:
    body = json.loads(data)
    if "error" in body:
        raise from_wire(body)
    try:
        return ChatChunk.model_validate(body)
    except ValueError as error:
        raise PageError("refusals.no_answer") from error


def _news(chunk: ChatChunk) -> list[AnswerEvent]:
    news: list[AnswerEvent] = []
    for choice in chunk.choices[:1]:
        if choice.delta.content:
            news.append(Written(choice.delta.content))
        if choice.finish_reason:
            news.append(Finished(choice.finish_reason))
    return news
