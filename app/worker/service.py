"""The worker's state: which models it serves, and whether it takes requests."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Literal

from app.errors import Busy, UnknownModel
from app.machines import Machine
from app.protocol import WorkerStatus
from app.settings import Settings
from app.worker.backend import Backend, EngineBackend
from app.worker.engine import EngineQueue
from app.worker.loading import LoadingBoard
from app.worker.pictures import PictureCache
from app.worker.queue import ModelQueue

Phase = Literal["loading", "ready", "draining"]


class Service:
    """The models behind one worker. It starts as ``loading`` and is opened with its models."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.phase: Phase = "loading"
        self.pictures = PictureCache(settings)
        self.board = LoadingBoard()
        self.machine: Machine | None = None
        self.queues: dict[str, ModelQueue | EngineQueue] = {}
        self.broken: Callable[[Exception], None] = lambda error: None
        # The same after a restart, so that the new process takes over the old one's registration.
        self.worker_id = f"{socket.gethostname()}-{settings.worker_port}"

    def open(self, backends: Sequence[Backend | EngineBackend]) -> None:
        """Serve these models, the first of them by default."""
        for backend in backends:
            self.queues[backend.info.id] = self._queue(backend)
        self.phase = "ready"

    def _queue(self, backend: Backend | EngineBackend) -> ModelQueue | EngineQueue:
        most = self.settings.max_waiting
        if isinstance(backend, EngineBackend):
            return EngineQueue(backend.engine, backend.info, most, lambda e: self.broken(e))
        return ModelQueue(backend, most)

    def queue_for(self, model: str) -> ModelQueue | EngineQueue:
        """The line of a model; an empty name means the first one.

        Raises :class:`app.errors.Busy` while loading or draining, :class:`app.errors.UnknownModel`.
        """
        if self.phase == "loading":
            raise Busy("The worker is still loading its models.")
        if self.phase == "draining":
            raise Busy("The worker is shutting down and takes no new requests.")
        name = model or next(iter(self.queues))
        if name not in self.queues:
            raise UnknownModel(
                f"There is no model {name!r} here.", f"Choose one of: {', '.join(self.queues)}."
            )
        return self.queues[name]

    def status(self) -> WorkerStatus:
        """What the controller is told."""
        return WorkerStatus(
            worker_id=self.worker_id,
            url=self.settings.worker_address,
            models=[queue.info for queue in self.queues.values()],
            active=sum(queue.active for queue in self.queues.values()),
            waiting=sum(queue.waiting for queue in self.queues.values()),
            draining=self.phase == "draining",
            machine=self.machine,
            loading=self.board.now,
        )

    def drain(self) -> None:
        """Take no new requests from now on."""
        self.phase = "draining"

    async def idle(self, seconds: float) -> bool:
        """Wait until nothing is in work or waiting; True when it was so in time.

        What is left after ``seconds`` is cancelled.
        """
        try:
            async with asyncio.timeout(seconds):
                while (status := self.status()).active or status.waiting:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            for queue in self.queues.values():
                queue.cancel_all()
            return False
        return True

    def close(self) -> None:
        """Cancel everything and end the threads."""
        self.drain()
        for queue in self.queues.values():
            queue.close()
