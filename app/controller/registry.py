"""Which workers are alive, what they serve, and which of them takes the next request.

Pure: no clock of its own, no network. A worker lives as long as it renews its lease; nothing that
another worker does or fails to do can end it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

from app.errors import BadRequest, NoWorker, UnknownModel
from app.machines import MachineStatus
from app.protocol import Lease, ModelInfo, WorkerStatus


@dataclass
class _Entry:
    status: WorkerStatus
    expires: float


@dataclass(frozen=True)
class Choice:
    """A worker and the model that it is to answer with."""

    worker_id: str
    url: str
    model: ModelInfo


class Registry:
    """The workers that have registered. ``clock`` gives seconds that only grow."""

    def __init__(self, clock: Callable[[], float], lease_seconds: float) -> None:
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._entries: dict[str, _Entry] = {}
        self._sent: Counter[str] = Counter()
        self._ever: set[str] = set()

    def register(self, status: WorkerStatus) -> Lease:
        """A new worker, or a renewal: the same message."""
        if not status.url.startswith(("http://", "https://")):
            raise BadRequest(f"A worker's URL begins with http:// or https://, not {status.url!r}.")
        now = self._clock()
        for gone in [key for key, entry in self._entries.items() if entry.expires <= now]:
            self.leave(gone)
        self._entries[status.worker_id] = _Entry(status, now + self._lease_seconds)
        self._ever |= {model.id for model in status.models}
        return Lease(worker_id=status.worker_id, seconds=self._lease_seconds)

    def leave(self, worker_id: str) -> None:
        """A worker that says goodbye, or is forgotten."""
        self._entries.pop(worker_id, None)

    def workers(self) -> list[WorkerStatus]:
        """Living workers in the order of their first registration."""
        now = self._clock()
        return [entry.status for entry in self._entries.values() if entry.expires > now]

    def machines(self) -> list[MachineStatus]:
        """The machines of living workers, and what is being loaded there."""
        return [
            MachineStatus(
                worker_id=worker.worker_id, machine=worker.machine, loading=worker.loading
            )
            for worker in self.workers()
        ]

    def models(self) -> list[ModelInfo]:
        """Models that are served now, each once, in the workers' order."""
        found: dict[str, ModelInfo] = {}
        for worker in self.workers():
            for model in worker.models if not worker.draining else ():
                found.setdefault(model.id, model)
        return list(found.values())

    def pick(self, model: str, without: Collection[str] = ()) -> Choice:
        """The least loaded worker that serves ``model``; the first model where it is empty.

        Raises :class:`UnknownModel` for a name that nobody has served, and :class:`NoWorker` where
        nobody does now.
        """
        served = self.models()
        if not served and not (model and model not in self._ever and self._ever):
            raise NoWorker("No model is being served at the moment.")
        wanted = model or served[0].id
        choices = [
            (self._load(worker), Choice(worker.worker_id, worker.url, info))
            for worker in self.workers()
            if not worker.draining and worker.worker_id not in without
            for info in worker.models
            if info.id == wanted
        ]
        if not choices:
            raise self._missing(wanted, served)
        return min(choices, key=lambda pair: pair[0])[1]

    def sent(self, worker_id: str) -> None:
        """A request was sent to the worker."""
        self._sent[worker_id] += 1

    def ended(self, worker_id: str) -> None:
        """A request that was sent to the worker has ended."""
        self._sent[worker_id] -= 1
        if not self._sent[worker_id]:
            del self._sent[worker_id]

    def _load(self, worker: WorkerStatus) -> int:
        return max(self._sent[worker.worker_id], worker.active + worker.waiting)

    def _missing(self, model: str, served: list[ModelInfo]) -> Exception:
        if model in self._ever:
            return NoWorker(f"No worker serves {model!r} at the moment.")
        names = ", ".join(info.id for info in served) or "none"
        return UnknownModel(
            f"There is no model {model!r}.", f"Choose one of those that are served: {names}."
        )
