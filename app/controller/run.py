"""One answer in work.

Each answer is written by a task of its own, so that it is stored however the connection ends. The
response reads the task's events; when the person goes away the task is cancelled, which closes the
connection to the worker, which cancels the model.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from app.controller.registry import Choice, Registry
from app.controller.relay import Counted, Event, Finished, Opened, Relay, Text
from app.db.records import Begun, Outcome
from app.db.store import Store
from app.errors import Busy, DatabaseBusy, StudioError, WorkerLost
from app.protocol import FinishReason, TokenLogprob, Usage

log = logging.getLogger(__name__)

SAVE_SECONDS = 1.0
"""How often the text of an answer in work is written to the database."""
LAST_SAVES = 4
"""How often the end of an answer is written before a locked database is given up."""
_END = None


@dataclass(frozen=True)
class Services:
    """What answers are made with. ``clock`` gives seconds that only grow."""

    store: Store
    registry: Registry
    relay: Relay
    clock: Callable[[], float] = time.monotonic


@dataclass
class Progress:
    """An answer as it grows. ``logprobs`` are told and never stored."""

    text: str = ""
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish_reason: FinishReason | None = None
    error: StudioError | None = None
    usage: Usage = field(default_factory=Usage)
    first_token_seconds: float | None = None
    total_seconds: float | None = None

    @property
    def nothing_yet(self) -> bool:
        """Whether another worker could begin it anew without anybody noticing."""
        return not self.text and not self.logprobs and self.finish_reason is None

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


class Run:
    """One answer in work. Create and start it on the event loop."""

    def __init__(
        self,
        services: Services,
        choice: Choice,
        begun: Begun,
        body: dict[str, Any],
        request_id: str,
    ) -> None:
        self.choice, self.begun, self.request_id = choice, begun, request_id
        self.progress = Progress()
        self._services, self._body = services, body
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._started = services.clock()
        self._saving: asyncio.Task[None] | None = None
        self._saved = self._started
        self._task: asyncio.Task[None] | None = None
        self._ending = False

    def start(self) -> asyncio.Task[None]:
        """Begin to write the answer; the task ends when the answer is stored, and never fails."""
        self._task = asyncio.create_task(self._work())
        return self._task

    def cancel(self) -> None:
        """Nobody waits for the answer any more. An answer that is ending is left to end."""
        if self._task is not None and not self._ending:
            self._ending = True
            self._task.cancel()

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

    async def _work(self) -> None:
        """Write the answer to its end, whatever that is, and store it."""
        try:
            await self._relay()
        except asyncio.CancelledError:
            self.progress.finish_reason = self.progress.finish_reason or "cancelled"
        except StudioError as error:
            self._fail(error)
        except Exception:
            log.exception("request %s failed", self.request_id)
            self._fail(StudioError("The controller failed."))
        self._ending = True
        self.progress.total_seconds = self._seconds()
        await self._end()

    async def _relay(self) -> None:
        """Follow the worker; once, another one where the first fails before its first word."""
        try:
            await self._follow(self.choice)
        except (WorkerLost, Busy) as error:
            if not self.progress.nothing_yet:
                raise
            await self._choose_another(error)
            await self._follow(self.choice)

    async def _choose_another(self, error: StudioError) -> None:
        """Another worker for the same model; raises ``error`` where there is none."""
        former = self.choice
        try:
            self.choice = self._services.registry.pick(former.model.id, {former.worker_id})
        except StudioError:
            raise error from None
        log.warning("request %s goes to another worker: %s", self.request_id, error)
        if self.choice.model != former.model:
            await asyncio.to_thread(
                self._services.store.change_source, self.begun.answer_id, self.choice.model
            )

    async def _follow(self, choice: Choice) -> None:
        registry, relay = self._services.registry, self._services.relay
        registry.sent(choice.worker_id)
        try:
            async with aclosing(relay.stream(choice, self._body, self.request_id)) as events:
                async for event in events:
                    self._take(event)
                    self._save_sometimes()
        finally:
            registry.ended(choice.worker_id)

    def _take(self, event: Event) -> None:
        match event:
            case Opened():
                if not self._opened.done():
                    self._opened.set_result(None)
                return
            case Text(text, logprobs):
                if self.progress.first_token_seconds is None:
                    self.progress.first_token_seconds = self._seconds()
                self.progress.text += text
                self.progress.logprobs += logprobs
            case Finished(reason):
                self.progress.finish_reason = reason
            case Counted(usage):
                self.progress.usage = usage
        self._queue.put_nowait(event)

    def _fail(self, error: StudioError) -> None:
        self.progress.finish_reason = "error"
        self.progress.error = error

    def _seconds(self) -> float:
        """Since the answer was begun."""
        return self._services.clock() - self._started

    # --- storing ---

    def _save_sometimes(self) -> None:
        """Store the text so far, beside the stream: a slow disk delays no word."""
        now = self._services.clock()
        busy = self._saving is not None and not self._saving.done()
        if busy or self.progress.finish_reason or now - self._saved < SAVE_SECONDS:
            return
        self._saved = now
        self._saving = asyncio.create_task(self._save_so_far())

    async def _save_so_far(self) -> None:
        try:
            await self._save()
        except StudioError as error:
            log.warning("answer %s is not saved yet: %s", self.begun.answer_id, error)

    async def _end(self) -> None:
        """Store the end, then tell whoever reads; a failure to store is told as well."""
        try:
            if self._saving is not None:
                await self._saving
            await self._save_end()
        except StudioError as error:
            log.error("answer %s could not be stored: %s", self.begun.answer_id, error)
            self._fail(error)
        if not self._opened.done():
            self._opened.set_exception(self.progress.error or StudioError("It was cancelled."))
            self._opened.exception()  # read here, because nobody may wait for it any more
        self._queue.put_nowait(_END)

    async def _save_end(self) -> None:
        for attempt in range(1, LAST_SAVES + 1):
            try:
                await self._save()
                break
            except DatabaseBusy:
                if attempt == LAST_SAVES:
                    raise
        if self.progress.error and not self.progress.text:
            # An answer that failed without a word is not the end of the conversation.
            await asyncio.to_thread(self._services.store.step_back, self.begun)

    async def _save(self) -> None:
        outcome = self.progress.outcome()
        store = self._services.store
        await asyncio.to_thread(store.save_answer, self.begun.answer_id, outcome)
