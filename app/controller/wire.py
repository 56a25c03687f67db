"""Answers in OpenAI's format: streamed as server-sent events, or whole."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator

from app.controller.relay import Finished, Text
from app.controller.run import Run
from app.errors import StudioError
from app.protocol import (
    AnswerChoice,
    AnswerMessage,
    ChatChunk,
    ChatCompletion,
    ChunkChoice,
    Delta,
    FinishReason,
    Usage,
)

DONE = "data: [DONE]\n\n"


async def whole(run: Run) -> ChatCompletion:
    """The answer when all of it is there; raises the error that ended it."""
    async for _ in run.events():
        pass
    return ChatCompletion(
        id=run.begun.answer_id,
        created=int(time.time()),
        model=run.choice.model.id,
        choices=[
            AnswerChoice(
                message=AnswerMessage(content=run.progress.text),
                finish_reason=run.progress.finish_reason or "cancelled",
            )
        ],
        usage=run.progress.usage,
        conversation_id=run.begun.conversation_id,
        question_id=run.begun.question_id,
    )


async def events(run: Run, include_usage: bool) -> AsyncIterator[str]:
    """The answer as server-sent events; an error is the last of them."""
    created = int(time.time())
    yield _chunk(run, created, Delta(role="assistant", content=""))
    try:
        async for event in run.events():
            if isinstance(event, Text):
                yield _chunk(run, created, Delta(content=event.text))
            elif isinstance(event, Finished):
                yield _chunk(run, created, Delta(), event.reason)
    except StudioError as error:
        yield f"data: {json.dumps(error.to_wire(run.request_id))}\n\n"
        return
    if include_usage:
        yield _event(run, created, [], run.progress.usage)
    yield DONE


def _chunk(run: Run, created: int, delta: Delta, reason: FinishReason | None = None) -> str:
    return _event(run, created, [ChunkChoice(delta=delta, finish_reason=reason)])


def _event(run: Run, created: int, choices: list[ChunkChoice], usage: Usage | None = None) -> str:
    chunk = ChatChunk(
        id=run.begun.answer_id,
        created=created,
        model=run.choice.model.id,
        choices=choices,
        usage=usage,
        conversation_id=run.begun.conversation_id,
        question_id=run.begun.question_id,
    )
    return f"data: {chunk.model_dump_json(exclude_none=True)}\n\n"
