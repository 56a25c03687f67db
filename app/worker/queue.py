"""The waiting line in front of one model: fair, bounded, one answer at a time.

Answers are generated in a thread; the event loop only hands requests in and pieces out.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque

from app.errors import Busy
from app.protocol import ModelInfo, Sampling
from app.queue_place import QueuePlace
from app.worker.backend import Backend, Piece
from app.worker.failures import as_studio_error
from app.worker.ticket import Ticket
from llava_core.conversation import Conversation
from llava_core.threads import compute_with_helpers

log = logging.getLogger(__name__)


class ModelQueue:
    """A model, the thread that generates with it, and the requests that wait for it."""

    def __init__(self, backend: Backend, max_waiting: int) -> None:
        self.backend = backend
        self._max_waiting = max_waiting
        self._waiting: deque[Ticket] = deque()
        self._active: Ticket | None = None
        self._seconds: float | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(
            target=self._work, name=f"generate {backend.info.id}", daemon=True
        )
        self._thread.start()

    @property
    def info(self) -> ModelInfo:
        """The model's description."""
        return self.backend.info

    @property
    def active(self) -> int:
        """Requests in work: 1 until the generation has really stopped."""
        return int(self._active is not None)

    @property
    def waiting(self) -> int:
        """Requests in the line."""
        return len(self._waiting)

    async def submit(
        self, conversation: Conversation, sampling: Sampling, request_id: str
    ) -> Ticket:
        """Join the line; raises :class:`app.errors.Busy` where it is full."""
        ticket = Ticket(conversation, sampling, request_id, self._leave, self._place)
        with self._changed:
            if self.active + self.waiting > self._max_waiting:
                raise Busy(
                    f"{self.backend.info.id} is busy: {self.waiting} requests are already waiting."
                )
            self._waiting.append(ticket)
            self._changed.notify()
        return ticket

    def cancel_all(self) -> None:
        """Cancel what waits and what is in work."""
        with self._changed:
            tickets = [*self._waiting, *([self._active] if self._active else [])]
        for ticket in tickets:
            ticket.cancel()

    def close(self) -> None:
        """Cancel everything and wait until the thread has ended."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self.cancel_all()
        self._thread.join()

    def _place(self, ticket: Ticket) -> QueuePlace | None:
        """The last answer is what the next ones are judged by."""
        with self._changed:
            if ticket not in self._waiting:
                return None
            before = self._waiting.index(ticket)
        seconds = None if self._seconds is None else (before + 1) * self._seconds
        return QueuePlace(before=before, seconds=seconds)

    def _leave(self, ticket: Ticket) -> None:
        """Drop a ticket that still waits, and end its stream."""
        with self._changed:
            if ticket not in self._waiting:
                return
            self._waiting.remove(ticket)
        ticket.hand_over(None)

    def _work(self) -> None:
        compute_with_helpers()
        while (ticket := self._next()) is not None:
            try:
                self._answer(ticket)
            except Exception as error:
                ticket.hand_over(self._failure(error, ticket))
            finally:
                with self._changed:
                    self._active = None
                ticket.hand_over(None)

    def _next(self) -> Ticket | None:
        """The next ticket, which is active from now on; None when the queue was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._waiting))
            if self._closed:
                return None
            self._active = self._waiting.popleft()
            return self._active

    def _answer(self, ticket: Ticket) -> None:
        ticket.started.set()
        started = time.monotonic()
        piece: Piece | None = None
        cancelled = ticket.cancelled.is_set
        for piece in self.backend.generate(ticket.conversation, ticket.sampling, cancelled):
            ticket.hand_over(piece)
        if piece:
            self._seconds = time.monotonic() - started
            log.info(
                "request %s to %s: %s after %.2f s, %d tokens in, %d out",
                ticket.request_id,
                self.backend.info.id,
                piece.finish_reason or "cancelled",
                self._seconds,
                piece.prompt_tokens,
                piece.completion_tokens,
            )

    def _failure(self, error: Exception, ticket: Ticket) -> Exception:
        translated = as_studio_error(error)
        unforeseen = translated.code == "internal_error"
        log.log(
            logging.ERROR if unforeseen else logging.WARNING,
            "request %s to %s failed: %s",
            ticket.request_id,
            self.backend.info.id,
            error,
            exc_info=unforeseen,
        )
        return translated
