"""One request on its way through the worker: what is asked, and the answer's pieces as they come.

The generation thread hands pieces over; the event loop reads them.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable

from app.protocol import Sampling
from app.queue_place import QueuePlace
from app.worker.backend import Piece
from llava_core.conversation import Conversation


class Ticket:
    """A request in the line of one model. Create it on the event loop that reads its pieces."""

    def __init__(
        self,
        conversation: Conversation,
        sampling: Sampling,
        request_id: str,
        leave: Callable[[Ticket], None],
        place: Callable[[Ticket], QueuePlace | None] = lambda ticket: None,
    ) -> None:
        self.conversation = conversation
        self.sampling = sampling
        self.request_id = request_id
        self.started = threading.Event()
        self.cancelled = threading.Event()
        self._leave = leave
        self._place = place
        self._loop = asyncio.get_running_loop()
        self._items: deque[Piece | Exception | None] = deque()
        self._news = asyncio.Event()

    async def pieces(self) -> AsyncIterator[Piece]:
        """The answer's pieces; raises the :class:`app.errors.StudioError` that ended it."""
        while True:
            await self._news.wait()
            item = self._items.popleft()
            if not self._items:
                self._news.clear()
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            yield item

    async def news(self, seconds: float) -> bool:
        """Whether something has arrived, waiting for it at most ``seconds``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        return self._news.is_set()

    async def opened(self, seconds: float) -> None:
        """Wait at most ``seconds`` for the first piece; raises the error that came instead."""
        if await self.news(seconds):
            first = self._items[0]
            if isinstance(first, Exception):
                raise first

    @property
    def place(self) -> QueuePlace | None:
        """Where it stands in the line; None once it is in work."""
        return self._place(self)

    def cancel(self) -> None:
        """Leave the line, or end the generation before its next decode step."""
        self.cancelled.set()
        self._leave(self)

    def hand_over(self, item: Piece | Exception | None) -> None:
        """From any thread: a piece, the error that ended the answer, or None for its end."""
        # The loop is closed when the process stops; nobody waits for the rest then.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._receive, item)

    def _receive(self, item: Piece | Exception | None) -> None:
        self._items.append(item)
        self._news.set()
