"""A model behind the engine: many requests at once, each with a place in the line."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable

from app.errors import Busy
from app.protocol import ModelInfo, Sampling
from app.queue_place import QueuePlace
from app.worker.failures import as_studio_error
from app.worker.sampling import params_of
from app.worker.ticket import Ticket
from llava_core.conversation import Conversation
from llava_core.engine.answer import Piece
from llava_core.engine.engine import Engine
from llava_core.engine.looking import Told, Word
from llava_core.engine.request import Request
from llava_core.errors import CoreError
from llava_core.threads import compute_with_helpers

log = logging.getLogger(__name__)


class EngineQueue:
    """An engine, the thread that steps it, and the tickets of its requests.

    ``broken`` is called, from that thread, when the engine can work no more.
    """

    def __init__(
        self,
        engine: Engine,
        info: ModelInfo,
        max_waiting: int,
        broken: Callable[[Exception], None] = lambda error: None,
    ) -> None:
        self.engine = engine
        self.info = info
        self._max_waiting = max_waiting
        self._broken = broken
        self._tickets: dict[Ticket, Request | None] = {}
        self._lock = threading.Lock()
        engine.open()
        self._thread = threading.Thread(target=self._run, name=f"engine {info.id}", daemon=True)
        self._thread.start()

    @property
    def active(self) -> int:
        """Requests in work."""
        return self.engine.running

    @property
    def waiting(self) -> int:
        """Requests in the line, and those whose prompts are being prepared."""
        return self.engine.waiting + sum(request is None for request in [*self._tickets.values()])

    async def submit(
        self, conversation: Conversation, sampling: Sampling, request_id: str
    ) -> Ticket:
        """Join the line; raises :class:`app.errors.Busy` where it is full, and what is wrong with
        the request."""
        ticket = Ticket(conversation, sampling, request_id, self._leave, self._place)
        with self._lock:
            self._check_room()
            self._tickets[ticket] = None
        try:
            await asyncio.to_thread(self._submit, ticket)
        except BaseException as error:
            self._forget(ticket)
            ticket.cancel()
            if isinstance(error, Exception):
                raise as_studio_error(error) from error
            raise
        return ticket

    async def explain(self, conversation: Conversation) -> list[Word]:
        """Where the answer that ends the conversation looked, word by word.

        Raises :class:`app.errors.Busy` where the line is full, and another
        :class:`app.errors.StudioError` where that cannot be told.
        """
        self._check_room()
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Told] = loop.create_future()

        def settle(item: Told) -> None:
            if not told.done():
                told.set_result(item)

        def emit(item: Told) -> None:
            loop.call_soon_threadsafe(settle, item)

        try:
            request = await asyncio.to_thread(self.engine.explain, conversation, emit)
        except Exception as error:
            raise as_studio_error(error) from error
        try:
            item = await told
        finally:
            self.engine.cancel(request)
        if isinstance(item, CoreError):
            raise as_studio_error(item)
        return item

    def cancel_all(self) -> None:
        """Cancel what waits and what is in work."""
        for ticket in list(self._tickets):
            ticket.cancel()

    def close(self) -> None:
        """Cancel everything and wait until the thread has ended."""
        self.engine.close()
        self._thread.join()

    def _submit(self, ticket: Ticket) -> None:
        params = params_of(ticket.sampling)
        started = time.monotonic()

        def emit(item: Piece | CoreError) -> None:
            self._emit(ticket, item, started)

        request = self.engine.submit(ticket.conversation, params, emit, ticket.request_id)
        with self._lock:
            if ticket in self._tickets:
                self._tickets[ticket] = request
        if ticket.cancelled.is_set():
            self.engine.cancel(request)

    def _leave(self, ticket: Ticket) -> None:
        request = self._tickets.get(ticket)
        if request is not None:
            self.engine.cancel(request)

    def _place(self, ticket: Ticket) -> QueuePlace | None:
        request = self._tickets.get(ticket)
        if request is None or ticket.started.is_set():
            return None
        place = self.engine.place(request)
        if place is None:
            return None
        return QueuePlace(before=place, seconds=self.engine.wait_seconds(place))

    def _check_room(self) -> None:
        if self.active + self.waiting < self.engine.limits.running + self._max_waiting:
            return
        seconds = self.engine.wait_seconds(self.waiting)
        raise Busy(
            f"{self.info.id} is busy: {self.waiting} requests are already waiting.",
            f"Try again in about {max(round(seconds), 1)} s." if seconds else None,
        )

    def _emit(self, ticket: Ticket, item: Piece | CoreError, started: float) -> None:
        """From the engine's thread: the next piece of an answer, or its error."""
        ticket.started.set()
        if isinstance(item, Piece):
            ticket.hand_over(item)
            if item.finish_reason is None:
                return
            self._log_end(ticket, item, time.monotonic() - started)
        else:
            log.warning("request %s to %s failed: %s", ticket.request_id, self.info.id, item)
            ticket.hand_over(as_studio_error(item))
        self._forget(ticket)
        ticket.hand_over(None)

    def _log_end(self, ticket: Ticket, piece: Piece, seconds: float) -> None:
        log.info(
            "request %s to %s: %s after %.2f s, %d tokens in, %d out",
            ticket.request_id,
            self.info.id,
            piece.finish_reason,
            seconds,
            piece.prompt_tokens,
            piece.completion_tokens,
        )

    def _forget(self, ticket: Ticket) -> None:
        with self._lock:
            self._tickets.pop(ticket, None)

    def _run(self) -> None:
        compute_with_helpers()
        try:
            self.engine.run()
        except Exception as error:
            log.critical("%s stopped working", self.info.id, exc_info=error)
            for ticket in list(self._tickets):
                self._forget(ticket)
                ticket.hand_over(as_studio_error(error))
                ticket.hand_over(None)
            self._broken(error)
