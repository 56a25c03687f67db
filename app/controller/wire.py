"""Answers in OpenAI's format: streamed as server-sent events, or whole."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Sequence

from app.controller.relay import Finished, Text, Waiting
from app.controller.run import Run
from app.errors import StudioError
from app.protocol import (
    AnswerChoice,
    AnswerMessage,
    ChatChunk,
    ChatCompletion,
    ChoiceLogprobs,
    ChunkChoice,
    Delta,
    TokenLogprob,
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
                logprobs=_told(run.progress.logprobs),
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
    yield _event(run, created, [ChunkChoice(delta=Delta(role="assistant", content=""))])
    try:
        async for event in run.events():
            if isinstance(event, Text):
                choice = ChunkChoice(
                    delta=Delta(content=event.text), logprobs=_told(event.logprobs)
                )
                yield _event(run, created, [choice])
            elif isinstance(event, Waiting):
                yield event.place.to_comment()
            elif isinstance(event, Finished):
                choice = ChunkChoice(delta=Delta(), finish_reason=event.reason)
                yield _event(run, created, [choice])
    except StudioError as error:
        yield f"data: {json.dumps(error.to_wire(run.request_id))}\n\n"
        return
    if include_usage:
        yield _event(run, created, [], run.progress.usage)
    yield DONE


def _told(logprobs: Sequence[TokenLogprob]) -> ChoiceLogprobs | None:
    return ChoiceLogprobs(content=list(logprobs)) if logprobs else None


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
