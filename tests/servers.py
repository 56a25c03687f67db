"""Real servers for tests: an app behind uvicorn on a free loopback port."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from tests.waiting import PATIENCE, eventually


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@contextmanager
def running(app: ASGIApp, port: int = 0) -> Iterator[str]:
    """Serve ``app`` in a thread while the block runs; yields its base URL."""
    sock = socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(
        app, log_config=None, access_log=False, proxy_headers=False, timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    try:
        _until_started(server, thread)
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=PATIENCE)
        sock.close()
    assert not thread.is_alive(), "the server did not stop"


def _until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    eventually(lambda: server.started or not thread.is_alive())
    assert thread.is_alive(), "the server did not start"
