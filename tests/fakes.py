"""Small real classes that stand in for slow or outside things."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.types import Receive, Scope, Send

from app.protocol import FinishReason, Lease, ModelInfo, Sampling, WorkerStatus
from llava_core.conversation import Conversation
from llava_core.engine.sampling import Choice, TokenName


@dataclass(frozen=True)
class ScriptedPiece:
    """A step of a scripted answer."""

    text: str
    finish_reason: FinishReason | None
    prompt_tokens: int
    completion_tokens: int
    choice: Choice | None = None
    names: Mapping[int, TokenName] = field(default_factory=dict)


@dataclass
class ScriptedBackend:
    """A worker's backend that says what it is told to, one piece per word.

    It keeps the conversations it was asked about (``seen``), counts decode steps (``steps``), and
    fails with ``error`` before the piece number ``error_at``. With ``gate`` it takes one step for
    each ``gate.release()``, so that a test holds the model in the middle of an answer. The words
    are tokens 1, 2, 3 with log-probabilities -1, -2, -3; beside each, an end token 0 at -9.
    """

    info: ModelInfo = field(default_factory=lambda: ModelInfo(id="scripted", context_length=100))
    words: Sequence[str] = ("A ", "red ", "circle.")
    error: Exception | None = None
    error_at: int = 0
    gate: threading.Semaphore | None = None
    seen: list[Conversation] = field(default_factory=list)
    samplings: list[Sampling] = field(default_factory=list)
    steps: int = 0

    def generate(
        self, conversation: Conversation, sampling: Sampling, cancelled: Callable[[], bool]
    ) -> Iterator[ScriptedPiece]:
        """The words in order; ``length`` where ``max_tokens`` ends them, as a real model does."""
        self.seen.append(conversation)
        self.samplings.append(sampling)
        prompt = sum(len(message.text.split()) for message in conversation.messages)
        words = self.words[: sampling.max_tokens]
        for count, word in enumerate(words, start=1):
            if self.gate:
                self.gate.acquire()
            if cancelled():
                return
            if self.error and count - 1 == self.error_at:
                raise self.error
            self.steps += 1
            ended: FinishReason = "stop" if len(words) == len(self.words) else "length"
            told = told_of(word, count, sampling) if sampling.logprobs else {}
            reason = ended if count == len(words) else None
            yield ScriptedPiece(word, reason, prompt, count, **told)


def told_of(word: str, token: int, sampling: Sampling) -> dict[str, Any]:
    """What a scripted piece tells of its token where log-probabilities are asked for."""
    top = ((token, -1.0 * token), (0, -9.0))[: sampling.top_logprobs]
    names = {token: TokenName(word, word.encode()), 0: TokenName("</s>", None)}
    return {"choice": Choice(token, -1.0 * token, top), "names": names}


class LeaseDesk:
    """The part of a controller that workers talk to: notes who registered, renewed and left."""

    def __init__(self, seconds: float = 9.0, secret: str = "") -> None:
        self.told: list[WorkerStatus] = []
        self.left: list[str] = []
        self.reply_after = 0.0
        """Seconds between noting a worker and telling it so."""
        self.app = FastAPI()
        expected = f"Bearer {secret}"

        @self.app.post("/internal/workers")
        async def register(status: WorkerStatus, request: Request) -> Response:
            if secret and request.headers.get("authorization") != expected:
                return Response(status_code=401)
            self.told.append(status)
            await asyncio.sleep(self.reply_after)
            lease = Lease(worker_id=status.worker_id, seconds=seconds)
            return Response(lease.model_dump_json(), media_type="application/json")

        @self.app.delete("/internal/workers/{worker_id}")
        async def leave(worker_id: str) -> None:
            self.left.append(worker_id)


class BreakingWorker:
    """A worker whose connection breaks in the middle of every answer, after ``words``."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The smallest ASGI app that streams chat chunks and then dies."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        # All of the question is read first: what comes in after the end would make the system throw
        # away words that are still on their way out.
        while (await receive()).get("more_body"):
            pass
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for word in self.words:
            choice = {"index": 0, "delta": {"content": word}}
            chunk = {"id": "x", "created": 1, "model": "breaking", "choices": [choice]}
            body = f"data: {json.dumps(chunk)}\n\n".encode()
            await send({"type": "http.response.body", "body": body, "more_body": True})
        # Returning without the last part of the body makes the server drop the connection.


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"].removeprefix("lifespan.")
        await send({"type": f"lifespan.{kind}.complete"})
        if kind == "shutdown":
            return
