"""An answer in OpenAI's chat-completions format: streamed as server-sent events, or whole."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from app.errors import StudioError
from app.protocol import (
    AnswerChoice,
    AnswerMessage,
    ChatChunk,
    ChatCompletion,
    ChoiceLogprobs,
    ChunkChoice,
    Delta,
    FinishReason,
    TokenLogprob,
    TopLogprob,
    Usage,
)
from app.queue_place import QueuePlace
from app.worker.backend import Piece
from app.worker.ticket import Ticket
from llava_core.engine.sampling import TokenName

LOOK_SECONDS = 0.5
"""How often a waiting request's place is looked up."""
KEEP_ALIVE_SECONDS = 10.0
"""A waiting stream is never silent for longer, although nothing has changed."""
DONE = "data: [DONE]\n\n"


@dataclass
class Answer:
    """An answer as it grows, and what it looks like on the wire.

    ``logprobs`` grows with it where the request asks for log-probabilities, and is None elsewhere.
    """

    model: str
    logprobs: list[TokenLogprob] | None = None
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))
    text: str = ""
    finish_reason: FinishReason | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def add(self, piece: Piece) -> ChoiceLogprobs | None:
        """Take in the next piece; returns its token's log-probability, where it is asked for."""
        self.text += piece.text
        self.finish_reason = piece.finish_reason or self.finish_reason
        self.prompt_tokens = piece.prompt_tokens
        self.completion_tokens = piece.completion_tokens
        if self.logprobs is None or (told := token_logprob(piece)) is None:
            return None
        self.logprobs.append(told)
        return ChoiceLogprobs(content=[told])

    def close(self) -> None:
        """The last piece has come; an answer that broke off without a reason was cancelled."""
        self.finish_reason = self.finish_reason or "cancelled"

    @property
    def usage(self) -> Usage:
        return Usage(
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            total_tokens=self.prompt_tokens + self.completion_tokens,
        )

    def chunk(
        self,
        delta: Delta,
        finish_reason: FinishReason | None = None,
        logprobs: ChoiceLogprobs | None = None,
    ) -> str:
        """One event: more text, or why the answer ended."""
        choice = ChunkChoice(delta=delta, finish_reason=finish_reason, logprobs=logprobs)
        return self._event([choice])

    def usage_chunk(self) -> str:
        """The event that ``stream_options.include_usage`` asks for: no choices, the counts."""
        return self._event([], self.usage)

    def completion(self) -> ChatCompletion:
        """The whole answer."""
        return ChatCompletion(
            id=self.id,
            created=self.created,
            model=self.model,
            choices=[
                AnswerChoice(
                    message=AnswerMessage(content=self.text),
                    logprobs=self._all_logprobs(),
                    finish_reason=self.finish_reason or "cancelled",
                )
            ],
            usage=self.usage,
        )

    def _all_logprobs(self) -> ChoiceLogprobs | None:
        return None if self.logprobs is None else ChoiceLogprobs(content=self.logprobs)

    def _event(self, choices: list[ChunkChoice], usage: Usage | None = None) -> str:
        chunk = ChatChunk(
            id=self.id, created=self.created, model=self.model, choices=choices, usage=usage
        )
        return f"data: {chunk.model_dump_json(exclude_none=True)}\n\n"


def token_logprob(piece: Piece) -> TokenLogprob | None:
    """The piece's token as OpenAI tells it; None where the piece comes without a choice."""
    choice = piece.choice
    if choice is None or choice.logprob is None:
        return None
    top = [_likelihood(piece.names[token], logprob) for token, logprob in choice.top]
    chosen = _likelihood(piece.names[choice.token_id], choice.logprob)
    return TokenLogprob(**dict(chosen), top_logprobs=top)


def _likelihood(name: TokenName, logprob: float) -> TopLogprob:
    data = None if name.data is None else list(name.data)
    return TopLogprob(token=name.text, logprob=logprob, bytes=data)


def _answer(ticket: Ticket, model: str) -> Answer:
    return Answer(model, [] if ticket.sampling.logprobs else None)


async def whole(ticket: Ticket, model: str) -> ChatCompletion:
    """The answer when all of it is there; raises what :meth:`Ticket.pieces` raises."""
    answer = _answer(ticket, model)
    async for piece in ticket.pieces():
        answer.add(piece)
    answer.close()
    return answer.completion()


async def places(ticket: Ticket) -> AsyncIterator[QueuePlace]:
    """Where the request stands, whenever that changes, until its answer begins.

    Once it is in work there is nothing to tell: a model that hangs is noticed by its silence.
    """
    told, silent = -1, 0.0
    while True:
        place = ticket.place
        if place is not None and (place.before != told or silent >= KEEP_ALIVE_SECONDS):
            told, silent = place.before, 0.0
            yield place
        if await ticket.news(LOOK_SECONDS):
            return
        silent += LOOK_SECONDS


async def events(ticket: Ticket, model: str, include_usage: bool) -> AsyncIterator[str]:
    """The answer as server-sent events, in order; an error is the last of them."""
    answer = _answer(ticket, model)
    yield answer.chunk(Delta(role="assistant", content=""))
    async for place in places(ticket):
        yield place.to_comment()
    try:
        async for piece in ticket.pieces():
            logprobs = answer.add(piece)
            if piece.text or logprobs:
                yield answer.chunk(Delta(content=piece.text), logprobs=logprobs)
    except StudioError as error:
        yield f"data: {json.dumps(error.to_wire(ticket.request_id))}\n\n"
        return
    answer.close()
    yield answer.chunk(Delta(), answer.finish_reason)
    if include_usage:
        yield answer.usage_chunk()
    yield DONE
