"""The worker as a process: it listens while it loads, registers, drains, and ends cleanly."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes import LeaseDesk
from tests.servers import free_port, running

ROOT = Path(__file__).resolve().parents[3]

PROGRAM = """
import sys, threading, time
from app import launch
from app.errors import NotFound
from app.worker import server
from tests.fakes import ScriptedBackend

class SlowBackend(ScriptedBackend):
    def generate(self, *arguments):
        for piece in super().generate(*arguments):
            time.sleep(0.1)
            yield piece

def load(settings):
    {load}

server.load_backends = load
sys.exit(launch.main(sys.argv[1:]))
"""
READY = "return [SlowBackend(words=['word '] * 10)]"


class Process:
    """A worker process, and the controller's desk that it registers with."""

    def __init__(self, load: str, desk: LeaseDesk, controller: str, folder: Path) -> None:
        self.desk = desk
        self.port = free_port()
        flags = {"worker-port": self.port, "controller-url": controller, "data-dir": folder}
        flags |= {"renew-seconds": 0.1}
        arguments = [f"--{name}={value}" for name, value in flags.items()]
        command = [sys.executable, "-c", PROGRAM.format(load=load), "worker", *arguments]
        self.popen = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", timeout=20, trust_env=False
        )

    def until(self, status: str) -> None:
        def shown() -> bool:
            try:
                return bool(self.client.get("/health").json()["status"] == status)
            except httpx.TransportError:
                return False

        eventually(shown)

    def ends(self) -> tuple[int, str]:
        """Exit status and output, once it has ended."""
        output, _ = self.popen.communicate(timeout=20)
        return self.popen.returncode, output


def eventually(condition: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Process]]:
    desk = LeaseDesk()
    started: list[Process] = []
    with running(desk.app) as controller:

        def start_process(load: str) -> Process:
            started.append(Process(load, desk, controller, tmp_path))
            return started[-1]

        yield start_process
        for process in started:
            process.client.close()
            process.popen.kill()
            process.popen.communicate()


def test_it_drains_on_sigterm(start: Callable[[str], Process]) -> None:
    worker = start(READY)
    eventually(lambda: worker.desk.told)
    assert worker.desk.told[0].models[0].id == "scripted"
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
    with worker.client.stream("POST", "/v1/chat/completions", json=body) as reply:
        lines = reply.iter_lines()
        next(lines)
        worker.popen.send_signal(signal.SIGTERM)
        worker.until("draining")
        refused = httpx.post(
            f"{worker.client.base_url}/v1/chat/completions", json=body, trust_env=False
        )
        rest = [line.removeprefix("data: ") for line in lines if line.startswith("data: {")]
    assert refused.status_code == 503
    assert json.loads(rest[-1])["choices"][0]["finish_reason"] == "stop"
    assert len(rest) >= 10
    status, output = worker.ends()
    assert status == 0, output
    assert worker.desk.left == [worker.desk.told[0].worker_id]


def test_it_listens_while_it_loads_and_stops_without_waiting(
    start: Callable[[str], Process],
) -> None:
    worker = start("time.sleep(60)")
    worker.until("loading")
    assert worker.desk.told == []
    worker.popen.send_signal(signal.SIGINT)
    status, output = worker.ends()
    assert status == 0, output


def test_a_checkpoint_that_cannot_be_loaded_ends_it_with_a_sentence(
    start: Callable[[str], Process],
) -> None:
    status, output = start("raise NotFound('No folder x.', 'Name another.')").ends()
    assert status == 1
    assert output.rstrip().endswith("No folder x.\nName another.")
    assert "Traceback" not in output


def test_a_taken_port_is_named(start: Callable[[str], Process]) -> None:
    first = start(READY)
    first.until("ready")
    command = [sys.executable, "app.py", "worker", f"--worker-port={first.port}"]
    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert second.returncode == 1
    assert f"Port {first.port} is already in use" in second.stderr
    assert "--worker-port" in second.stderr
