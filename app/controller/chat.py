"""One question from check to stored answer.

Each answer is written by a task of its own, so that it is stored however the connection ends. The
response reads the task's events; when the person goes away the task is cancelled, which closes the
connection to the worker, which cancels the model.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from app.controller.registry import Choice, Registry
from app.controller.relay import Counted, Event, Finished, Opened, Relay, Text, Unreachable
from app.controller.turns import Prepared, TurnMaker
from app.db.store import Begun, Outcome, Store
from app.errors import Busy, StudioError
from app.protocol import ChatRequest, FinishReason, Sampling, Usage
from app.settings import Settings

log = logging.getLogger(__name__)

SAVE_SECONDS = 1.0
"""How often the text of an answer in work is written to the database."""
_END = None
T = TypeVar("T")


@dataclass
class Progress:
    """An answer as it grows."""

    text: str = ""
    finish_reason: FinishReason | None = None
    error: StudioError | None = None
    usage: Usage = field(default_factory=Usage)
    first_token_seconds: float | None = None
    total_seconds: float | None = None

    def outcome(self) -> Outcome:
        """The state as it is stored."""
        return Outcome(
            text=self.text,
            finish_reason=self.finish_reason,
            error=self.error.code if self.error else None,
            prompt_tokens=self.usage.prompt_tokens,
            completion_tokens=self.usage.completion_tokens,
            first_token_seconds=self.first_token_seconds,
            total_seconds=self.total_seconds,
        )


class Chat:
    """Answers questions with the workers of the registry and stores everything."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        relay: Relay,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store, self.registry, self.relay = store, registry, relay
        self.settings, self.clock = settings, clock
        self._turns = TurnMaker(store, settings)
        self._running: set[asyncio.Task[None]] = set()

    async def begin(self, request: ChatRequest, person: str, request_id: str) -> Run:
        """Check and store the question, and have a worker begin its answer.

        Raises :class:`StudioError` where anything is wrong before the answer has begun.
        """
        choice = self.registry.pick(request.model)
        sampling = self._sampling(request)
        prepared = await asyncio.to_thread(
            self._turns.prepare, request, person, choice.model, sampling
        )
        body = {
            "model": choice.model.id,
            "messages": prepared.messages,
            **sampling.model_dump(exclude_none=True),
        }
        run = Run(self, choice, prepared, person, body, request_id)
        task = asyncio.create_task(run.work())
        run.task = task
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await run.opened()
        return run

    def _sampling(self, request: ChatRequest) -> Sampling:
        sampling = request.sampling()
        if request.max_tokens is None and request.max_completion_tokens is None:
            longest = self.settings.default_max_tokens
            return sampling.model_copy(update={"max_tokens": longest})
        return sampling

    async def close(self) -> None:
        """Cancel all answers in work and wait until they are stored."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


class Run:
    """One answer in work."""

    def __init__(
        self,
        chat: Chat,
        choice: Choice,
        prepared: Prepared,
        person: str,
        body: dict[str, Any],
        request_id: str,
    ) -> None:
        self.choice, self.request_id = choice, request_id
        self.begun: Begun = prepared.begun
        self.progress = Progress()
        self.task: asyncio.Task[None] | None = None
        self._chat, self._prepared, self._person, self._body = chat, prepared, person, body
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._opened = asyncio.get_running_loop().create_future()

    async def opened(self) -> None:
        """Returns when a worker has taken the request; raises why none did."""
        try:
            await asyncio.shield(self._opened)
        except asyncio.CancelledError:
            self.cancel()
            raise

    async def events(self) -> AsyncIterator[Event]:
        """Text and end of the answer; raises the error that ended it."""
        while (event := await self._queue.get()) is not _END:
            yield event
        if self.progress.error:
            raise self.progress.error

    def cancel(self) -> None:
        """Nobody waits for the answer any more."""
        if self.task is not None:
            self.task.cancel()

    async def work(self) -> None:
        """Write the answer to its end, whatever that is, and store it."""
        started = self._chat.clock()
        try:
            await self._relay(started)
        except asyncio.CancelledError:
            self.progress.finish_reason = "cancelled"
        except StudioError as error:
            self._fail(error)
        except Exception:
            log.exception("request %s failed", self.request_id)
            self._fail(StudioError("The controller failed."))
        self.progress.total_seconds = self._chat.clock() - started
        await self._end()

    async def _relay(self, started: float) -> None:
        try:
            await self._from(self.choice, started)
        except (Unreachable, Busy) as error:
            if self._opened.done():
                raise
            self.choice = self._another(error)
            await self._from(self.choice, started)

    def _another(self, error: StudioError) -> Choice:
        """Another worker for the same model; raises ``error`` where there is none."""
        try:
            return self._chat.registry.pick(self.choice.model.id, {self.choice.worker_id})
        except StudioError:
            raise error from None

    async def _from(self, choice: Choice, started: float) -> None:
        saved = self._chat.clock()
        self._chat.registry.sent(choice.worker_id)
        stream = self._chat.relay.stream(choice, self._body, self.request_id)
        try:
            async for event in stream:
                self._take(event, started)
                if self._chat.clock() - saved > SAVE_SECONDS:
                    saved = self._chat.clock()
                    await self._save()
        finally:
            self._chat.registry.ended(choice.worker_id)
            with contextlib.suppress(Exception):
                await stream.aclose()  # type: ignore[attr-defined]

    def _take(self, event: Event, started: float) -> None:
        match event:
            case Opened():
                if not self._opened.done():
                    self._opened.set_result(None)
                return
            case Text(text):
                if self.progress.first_token_seconds is None:
                    self.progress.first_token_seconds = self._chat.clock() - started
                self.progress.text += text
            case Finished(reason):
                self.progress.finish_reason = reason
            case Counted(usage):
                self.progress.usage = usage
        self._queue.put_nowait(event)

    def _fail(self, error: StudioError) -> None:
        self.progress.finish_reason = "error"
        self.progress.error = error

    async def _end(self) -> None:
        """Store the end, then tell whoever reads; a failure to store is told as well."""
        try:
            await self._save()
            if self.progress.error and not self.progress.text:
                await self._step_back()
        except StudioError as error:
            self._fail(error)
        if not self._opened.done():
            reason = self.progress.error or StudioError("The request was cancelled.")
            self._opened.set_exception(reason)
            self._opened.exception()
        self._queue.put_nowait(_END)

    async def _save(self) -> None:
        outcome = self.progress.outcome()
        await asyncio.to_thread(self._chat.store.save_answer, self.begun.answer_id, outcome)

    async def _step_back(self) -> None:
        """An answer that failed without a word is not the conversation's head."""
        await asyncio.to_thread(
            self._chat.store.set_head,
            self._person,
            self.begun.conversation_id,
            self._prepared.previous_head,
        )
