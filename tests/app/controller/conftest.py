"""A controller with a real worker beside it, both on loopback."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.controller.api import create_app
from app.db.session import BUSY_SECONDS, open_database
from app.db.store import Store
from app.protocol import WorkerStatus
from app.settings import Settings
from app.worker.api import create_app as create_worker
from app.worker.backend import EngineBackend
from tests.fakes import ScriptedBackend
from tests.servers import running
from tests.waiting import PATIENCE, eventually

SECRET = "shared-secret"


def code(reply: httpx.Response) -> tuple[int, str]:
    """HTTP status and the error's code."""
    return reply.status_code, reply.json()["error"]["code"]


class Desk:
    """A running controller: ask it, and give it workers."""

    def __init__(
        self, settings: Settings, stack: ExitStack, busy_seconds: float = BUSY_SECONDS
    ) -> None:
        self.settings = settings
        database = open_database(settings.database, busy_seconds)
        self.app = create_app(settings, store=Store(database, settings.images_dir))
        self._stack = stack
        self.url = stack.enter_context(running(self.app))
        self.client = stack.enter_context(
            httpx.Client(base_url=self.url, timeout=PATIENCE, trust_env=False)
        )
        self.workers = 0
        self.secret = {"Authorization": f"Bearer {SECRET}"}

    def add_worker(self, backend: ScriptedBackend | EngineBackend) -> str:
        """Start a worker with this backend and register it; returns its id."""
        url = self._stack.enter_context(running(create_worker(self.settings, [backend])))
        return self.register(url, backend)

    def register(self, url: str, backend: ScriptedBackend | EngineBackend) -> str:
        """Register a worker that runs at ``url``."""
        self.workers += 1
        status = WorkerStatus(worker_id=f"w{self.workers}", url=url, models=[backend.info])
        message = status.model_dump()
        reply = self.client.post("/internal/workers", json=message, headers=self.secret)
        assert reply.status_code == 200, reply.text
        return status.worker_id

    def ask(self, *messages: dict[str, object], **keys: object) -> httpx.Response:
        """One chat request, not streamed."""
        body = {"messages": list(messages), **keys}
        return self.client.post("/v1/chat/completions", json=body)

    def stream(self, *messages: dict[str, object], **keys: object) -> list[dict[str, Any]]:
        """All events of a streamed answer."""
        body = {"messages": list(messages), "stream": True, **keys}
        with self.client.stream("POST", "/v1/chat/completions", json=body) as reply:
            lines = [line[6:] for line in reply.iter_lines() if line.startswith("data: ")]
        return [json.loads(line) for line in lines if line != "[DONE]"]

    def until_ended(self, identity: str) -> dict[str, Any]:
        """The only answer of a stored conversation, as soon as it has ended."""
        answers: list[dict[str, Any]] = []

        def ended() -> bool:
            turns = self.conversation(identity)["turns"]
            answers[:] = turns[0]["answers"] if turns else []
            return bool(answers and answers[0]["finish_reason"])

        eventually(ended)
        return answers[0]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Another program holds the database's write lock while the block runs."""
        other = sqlite3.connect(self.settings.data_dir / "studio.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")
            other.close()

    def conversation(self, identity: str) -> dict[str, Any]:
        """A stored conversation."""
        found: dict[str, Any] = self.client.get(f"/api/conversations/{identity}").json()
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A controller without workers."""
    settings = Settings(data_dir=tmp_path, secret=SECRET, lease_seconds=3600)
    with ExitStack() as stack:
        yield Desk(settings, stack)


@pytest.fixture
def backend() -> ScriptedBackend:
    """A model that says "A red circle."."""
    return ScriptedBackend()
