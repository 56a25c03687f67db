"""The whole app as people start it: parts are killed, and it comes back by itself."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.servers import free_port
from tests.tiny_checkpoint import make_tiny_checkpoint

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


class Stack:
    """``python app.py`` on free ports, with one tiny checkpoint."""

    def __init__(self, folder: Path) -> None:
        checkpoint = folder / "tiny"
        make_tiny_checkpoint(checkpoint)
        names = ("--port", "--controller-port", "--worker-port")
        ports = {name: free_port() for name in names}
        self.page = f"http://127.0.0.1:{ports['--port']}"
        self.output = folder / "output"
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{ports['--controller-port']}", timeout=60, trust_env=False
        )
        flags = [f"{name}={port}" for name, port in ports.items()]
        flags += [f"--model={checkpoint}", f"--data-dir={folder / 'data'}"]
        with self.output.open("w") as output:
            self.popen = subprocess.Popen(
                [sys.executable, "app.py", *flags],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def part(self, name: str) -> psutil.Process:
        """The process of one part."""
        children = psutil.Process(self.popen.pid).children()
        return next(child for child in children if name in child.cmdline()[:4])

    def ask(self) -> httpx.Response:
        body = {
            "model": "tiny",
            "messages": [{"role": "user", "content": "What is in the picture?"}],
            "max_tokens": 8,
        }
        return self.client.post("/v1/chat/completions", json=body)

    def answers(self) -> bool:
        """Whether a question is answered now."""
        with contextlib.suppress(httpx.TransportError):
            return self.ask().is_success
        return False

    def healthy(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self.client.get("/health").is_success
        return False

    def models(self) -> list[str]:
        return [model["id"] for model in self.client.get("/v1/models").json()["data"]]

    def eventually(self, condition: Callable[[], object], seconds: float = 90.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.popen.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.1)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    started = Stack(tmp_path)
    yield started
    started.client.close()
    if started.popen.poll() is None:
        for child in psutil.Process(started.popen.pid).children(recursive=True):
            child.kill()
        started.popen.kill()
        started.popen.wait()


def test_parts_that_are_killed_come_back_and_ctrl_c_ends_everything(stack: Stack) -> None:
    stack.eventually(lambda: f"LLaVA Studio is ready: {stack.page}" in stack.output.read_text())
    assert stack.models() == ["tiny"]
    assert stack.ask().is_success
    assert httpx.get(stack.page, trust_env=False).is_success

    # A stopped process answers nothing: the question is certainly in work when it is killed.
    worker = stack.part("worker")
    os.kill(worker.pid, signal.SIGSTOP)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(stack.ask)
        time.sleep(0.5)
        worker.kill()
        lost = asked.result(timeout=30)
    assert lost.status_code in (502, 503)
    assert lost.json()["error"]["code"] in ("worker_lost", "no_worker")
    stack.eventually(stack.answers)
    assert stack.part("worker").pid != worker.pid

    controller = stack.part("controller")
    controller.kill()
    controller.wait(timeout=10)
    stack.eventually(stack.healthy)
    stack.eventually(stack.models, seconds=10)
    assert stack.ask().is_success

    children = psutil.Process(stack.popen.pid).children(recursive=True)
    assert len(children) >= 3
    stack.popen.send_signal(signal.SIGINT)
    assert stack.popen.wait(timeout=15) == 0
    assert not any(child.is_running() for child in children)
