"""A controller with a real worker beside it, both on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from app.controller.api import create_app
from app.protocol import WorkerStatus
from app.settings import Settings
from app.worker.api import create_app as create_worker
from tests.fakes import ScriptedBackend
from tests.servers import running

SECRET = "shared-secret"


class Desk:
    """A running controller: ask it, and give it workers."""

    def __init__(self, settings: Settings, stack: ExitStack) -> None:
        self.settings = settings
        self.app = create_app(settings)
        self._stack = stack
        self.url = stack.enter_context(running(self.app))
        self.client = stack.enter_context(
            httpx.Client(base_url=self.url, timeout=20, trust_env=False)
        )
        self.workers = 0

    def add_worker(self, backend: ScriptedBackend) -> str:
        """Start a worker with this backend and register it; returns its id."""
        url = self._stack.enter_context(running(create_worker(self.settings, [backend])))
        return self.register(url, backend)

    def register(self, url: str, backend: ScriptedBackend) -> str:
        """Register a worker that runs at ``url``."""
        self.workers += 1
        status = WorkerStatus(worker_id=f"w{self.workers}", url=url, models=[backend.info])
        headers = {"Authorization": f"Bearer {SECRET}"}
        reply = self.client.post("/internal/workers", json=status.model_dump(), headers=headers)
        assert reply.status_code == 200, reply.text
        return status.worker_id

    def ask(self, *messages: dict[str, object], **keys: object) -> httpx.Response:
        """One chat request, not streamed."""
        body = {"messages": list(messages), **keys}
        return self.client.post("/v1/chat/completions", json=body)

    def conversation(self, identity: str) -> dict[str, object]:
        """A stored conversation."""
        found: dict[str, object] = self.client.get(f"/api/conversations/{identity}").json()
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A controller without workers."""
    settings = Settings(data_dir=tmp_path, secret=SECRET, answer_timeout_seconds=3.0)
    with ExitStack() as stack:
        yield Desk(settings, stack)


@pytest.fixture
def backend() -> ScriptedBackend:
    """A model that says "A red circle."."""
    return ScriptedBackend()
