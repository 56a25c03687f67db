"""A worker behind a real server, with a scripted model."""

from __future__ import annotations

import base64
import io
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from app.settings import Settings
from app.worker.api import create_app
from app.worker.backend import Backend
from app.worker.service import Service
from tests.fakes import ScriptedBackend
from tests.servers import running
from tests.waiting import PATIENCE, eventually


class Worker:
    """A started worker: its service inside, and a client outside."""

    def __init__(self, service: Service, url: str) -> None:
        self.service = service
        self.url = url
        self.client = httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False)

    def ask(self, text: str = "What is it?", **more: Any) -> httpx.Response:
        """One question, answered whole."""
        return self.client.post("/v1/chat/completions", json=question(text, **more))

    def ask_by_socket(self, text: str = "What is it?", **more: Any) -> socket.socket:
        """One question on a connection of its own, which the test can close at any moment."""
        body = json.dumps(question(text, **more))
        host, port = self.url.removeprefix("http://").split(":")
        sock = socket.create_connection((host, int(port)), timeout=PATIENCE)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: w\r\nContent-Length: {len(body)}"
        sock.sendall(f"{head}\r\n\r\n{body}".encode())
        return sock

    def until(self, **expected: object) -> None:
        """Wait until ``/health`` shows these values."""

        def shown() -> dict[str, object]:
            told: dict[str, object] = self.client.get("/health").json()
            return told

        eventually(
            lambda: expected.items() <= shown().items(), lambda: f"{shown()}, not {expected}"
        )


def question(text: str = "What is it?", **more: Any) -> dict[str, Any]:
    """The body of a request with one message."""
    return {"messages": [{"role": "user", "content": text}], **more}


def events(body: str) -> list[str]:
    """The ``data:`` lines of an event stream."""
    return [line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data:")]


def data_url(image: Image.Image) -> str:
    """A picture as a client sends it."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, max_waiting=2)


@pytest.fixture
def start(settings: Settings) -> Iterator[Callable[..., Worker]]:
    """Starts workers with the given backends, and stops them after the test."""
    with ExitStack() as stack:

        def start_worker(*backends: Backend, **changes: Any) -> Worker:
            changed = settings.model_copy(update=changes)
            app = create_app(changed, backends)
            worker = Worker(app.state.service, stack.enter_context(running(app)))
            stack.callback(worker.client.close)
            for backend in backends:
                if isinstance(backend, ScriptedBackend) and backend.gate:
                    stack.callback(backend.gate.release, 1000)
            return worker

        yield start_worker
