"""Real servers for tests: an app behind uvicorn on a free loopback port."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp

from app.ports import listen
from tests.waiting import PATIENCE, eventually

PORTS = range(20_000, 32_000)
"""Below those that systems give to outgoing connections: nobody takes one before it is used."""
_given: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on at this moment; in one process, another one each time."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        if port in _given:
            continue
        _given.add(port)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextmanager
def running(app: ASGIApp, port: int = 0) -> Iterator[str]:
    """Serve ``app`` in a thread while the block runs; yields its base URL."""
    sock = listen("127.0.0.1", port, "")
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
