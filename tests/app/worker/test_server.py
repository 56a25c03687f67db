"""The worker as a process: it listens while it loads, registers, drains, and ends cleanly."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.app.worker.worker_process import Load, Process, not_there, slow_model, takes_a_minute
from tests.fakes import LeaseDesk
from tests.servers import running
from tests.waiting import PATIENCE, eventually

ROOT = Path(__file__).resolve().parents[3]
Start = Callable[[Load], Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    desk = LeaseDesk()
    started: list[Process] = []
    with running(desk.app) as controller:

        def start_process(load: Load) -> Process:
            started.append(Process(load, desk, controller, tmp_path))
            return started[-1]

        yield start_process
        for process in started:
            process.close()


def tell(worker: Process, number: signal.Signals) -> None:
    assert worker.process.pid
    os.kill(worker.process.pid, number)


def test_it_drains_on_sigterm(start: Start) -> None:
    worker = start(slow_model)
    eventually(lambda: worker.desk.told)
    assert worker.desk.told[0].models[0].id == "scripted"
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
    with worker.client.stream("POST", "/v1/chat/completions", json=body) as reply:
        lines = reply.iter_lines()
        next(lines)
        tell(worker, signal.SIGTERM)
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


@pytest.mark.parametrize("reply_after", [0.0, 1.0], ids=["told", "being told"])
def test_it_listens_while_it_loads_and_stops_without_waiting(
    start: Start, reply_after: float
) -> None:
    worker = start(takes_a_minute)
    worker.desk.reply_after = reply_after
    worker.until("loading")
    eventually(lambda: worker.desk.told)
    told = worker.desk.told[0]
    assert told.models == [] and told.machine and told.machine.free > 0
    tell(worker, signal.SIGINT)
    status, output = worker.ends()
    assert status == 0, output
    assert worker.desk.left == [told.worker_id]


def test_a_checkpoint_that_cannot_be_loaded_ends_it_with_a_sentence(start: Start) -> None:
    status, output = start(not_there).ends()
    assert status == 1
    assert output.rstrip().endswith("No folder x.\nName another.")
    assert "Traceback" not in output


def test_a_taken_port_is_named_before_the_large_libraries_are_loaded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        program = "import sys; from app import launch; status = launch.main(sys.argv[1:]); "
        program += "print('torch' in sys.modules); sys.exit(status)"
        second = subprocess.run(
            [sys.executable, "-c", program, "worker", f"--worker-port={port}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert (second.returncode, second.stdout) == (1, "False\n")
    assert f"Port {port} is already in use" in second.stderr
    assert "--worker-port" in second.stderr
