"""The launcher: what it checks, starts, says, restarts and stops; with small children."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from app.launch import (
    SPINS,
    STOP_SECONDS,
    Launcher,
    can_answer,
    check_ports,
    child_specs,
    loading_words,
    main,
    yield_processors,
)
from app.ports import PortTaken
from app.settings import Settings
from tests.servers import free_port
from tests.waiting import PATIENCE, eventually

ROOT = Path(__file__).resolve().parents[2]

SERVER = """
import http.server, signal, sys
signal.signal(signal.SIGTERM, {on_sigterm})
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{{"data": [{{"id": "x"}}]}}')
    def log_message(self, *arguments): pass
http.server.HTTPServer(("127.0.0.1", {port}), Handler).serve_forever()
"""

LAUNCHER = """
import sys
from app import launch
from app.child import ChildSpec
programs = dict(zip(launch.PARTS, {programs!r}))
def specs(settings):
    return [ChildSpec(part, [sys.executable, "-c", text]) for part, text in programs.items()]
sys.exit(launch.main(sys.argv[1:], specs))
"""


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (
            httpx.Response(
                200,
                json={
                    "data": [
                        {"worker_id": "w1", "loading": [{"id": "large", "share": 0.426}]},
                        {"worker_id": "w2", "loading": [{"id": "other", "share": None}]},
                    ]
                },
            ),
            "large: 43%. other: reading files. ",
        ),
        (httpx.Response(200, json={"data": []}), ""),
        (httpx.Response(200, text="no JSON"), ""),
        (httpx.Response(503), ""),
    ],
)
def test_it_says_how_far_loading_has_come(reply: httpx.Response, expected: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/api/machines"
        return reply

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        assert loading_words(Settings(), client) == expected


class Started:
    """A launcher process, and what it has printed."""

    def __init__(self, folder: Path, worker: str, on_sigterm: str) -> None:
        self.ports = [free_port() for _ in range(3)]
        page, controller, _ = self.ports
        programs = [
            SERVER.format(port=controller, on_sigterm=on_sigterm),
            worker,
            SERVER.format(port=page, on_sigterm=on_sigterm),
        ]
        names = ("--port", "--controller-port", "--worker-port")
        flags = [f"{name}={port}" for name, port in zip(names, self.ports, strict=True)]
        self.output = folder / "output"
        command = [sys.executable, "-c", LAUNCHER.format(programs=programs)]
        with self.output.open("w") as output:
            self.popen = subprocess.Popen(
                [*command, *flags, f"--data-dir={folder / 'data'}"],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def said(self) -> str:
        return self.output.read_text()

    def until_said(self, text: str, times: int = 1) -> None:
        eventually(lambda: self.said.count(text) >= times, lambda: self.said)

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.popen.pid).children()


SLEEPER = "import time; time.sleep(60)"
DEFAULT = "signal.SIG_DFL"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    started: list[Started] = []

    def start_launcher(worker: str = SLEEPER, on_sigterm: str = DEFAULT) -> Started:
        started.append(Started(tmp_path, worker, on_sigterm))
        return started[-1]

    yield start_launcher
    for launcher in started:
        children = launcher.children() if launcher.popen.poll() is None else []
        launcher.popen.kill()
        launcher.popen.wait()
        for child in children:
            child.kill()


def test_it_prints_one_address_when_a_question_can_be_answered_and_stops_on_ctrl_c(
    start: Callable[..., Started],
) -> None:
    launcher = start()
    launcher.until_said("LLaVA Studio is ready")
    page = f"http://127.0.0.1:{launcher.ports[0]}"
    assert launcher.said.count("http://") == 1 and page in launcher.said
    children = launcher.children()
    assert len(children) == 3
    launcher.popen.send_signal(signal.SIGINT)
    assert launcher.popen.wait(timeout=PATIENCE) == 0
    assert not any(child.is_running() for child in children)


def test_a_part_that_cannot_start_ends_it_with_the_reason(start: Callable[..., Started]) -> None:
    launcher = start("print('first line'); raise SystemExit('There is no checkpoint x.')")
    assert launcher.popen.wait(timeout=PATIENCE) == 1
    assert "The worker ended with status 1:" in launcher.said
    assert "first line\nThere is no checkpoint x." in launcher.said
    assert "worker.log" in launcher.said
    assert "Traceback" not in launcher.said


def test_a_crashed_part_is_started_again(start: Callable[..., Started]) -> None:
    launcher = start()
    launcher.until_said("is ready")
    worker = next(child for child in launcher.children() if SLEEPER in child.cmdline())
    worker.kill()
    launcher.until_said("The worker was ended by signal 9; starting it again in 0.5 s")
    eventually(lambda: len(launcher.children()) == 3)
    assert worker.pid not in [child.pid for child in launcher.children()]


def test_a_second_ctrl_c_does_not_wait_for_stubborn_parts(start: Callable[..., Started]) -> None:
    launcher = start(on_sigterm="signal.SIG_IGN")
    launcher.until_said("is ready")
    children = launcher.children()
    launcher.popen.send_signal(signal.SIGINT)
    launcher.until_said("Stopping")
    second = time.monotonic()
    launcher.popen.send_signal(signal.SIGINT)
    assert launcher.popen.wait(timeout=PATIENCE) == 0
    assert time.monotonic() - second < STOP_SECONDS - 1
    assert not any(child.is_running() for child in children)


def test_a_taken_port_is_named_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        ports = [f"--port={free_port()}", f"--controller-port={port}"]
        status = main([*ports, f"--worker-port={free_port()}", f"--data-dir={tmp_path / 'd'}"])
    message = capsys.readouterr().err
    assert status == 1
    assert f"Port {port} is already in use" in message and str(os.getpid()) in message
    assert "--controller-port" in message
    assert not (tmp_path / "d").exists()


def test_two_parts_on_one_port_are_refused() -> None:
    port = free_port()
    with pytest.raises(PortTaken, match=f"--port is {port}, and so is another"):
        check_ports(Settings(port=port, worker_port=port))


def test_a_data_folder_that_cannot_be_written_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()
    names = ("--port", "--controller-port", "--worker-port")
    status = main([*(f"{name}={free_port()}" for name in names), f"--data-dir={file}"])
    message = capsys.readouterr().err
    assert status == 1
    assert str(file) in message and "--data-dir" in message


def test_children_share_a_secret_that_is_not_in_their_command() -> None:
    specs = child_specs(Settings(secret="hush", port=8123))
    assert [spec.name for spec in specs] == ["controller", "worker", "ui"]
    for spec in specs:
        assert not any("hush" in word for word in spec.command)
        assert spec.environment["LLAVA_STUDIO_SECRET"] == "hush"
        assert "--port=8123" in spec.command


def test_each_launch_has_a_secret_of_its_own(tmp_path: Path) -> None:
    def secret() -> str:
        return Launcher(Settings(data_dir=tmp_path))._settings.secret

    assert len(secret()) >= 32 and secret() != secret()
    assert Launcher(Settings(secret="mine"))._settings.secret == "mine"


@pytest.mark.parametrize(
    ("models", "page", "expected"),
    [
        (httpx.Response(200, json={"data": [{"id": "x"}]}), httpx.Response(200), True),
        (httpx.Response(200, json={"data": []}), httpx.Response(200), False),
        (httpx.Response(503), httpx.Response(200), False),
        (httpx.Response(200, json={"data": [{"id": "x"}]}), httpx.Response(500), False),
        (None, httpx.Response(200), False),
    ],
)
def test_a_question_can_be_answered_with_a_model_and_a_page(
    models: httpx.Response | None, page: httpx.Response, expected: bool
) -> None:
    settings = Settings()

    def reply(request: httpx.Request) -> httpx.Response:
        response = models if request.url.port == settings.controller_port else page
        if response is None:
            raise httpx.ConnectError("refused")
        return response

    with httpx.Client(transport=httpx.MockTransport(reply)) as client:
        assert can_answer(settings, client) is expected


@pytest.mark.parametrize(
    ("own", "expected"),
    [({}, SPINS), ({"GOMP_SPINCOUNT": "5"}, "5"), ({"OMP_WAIT_POLICY": "active"}, None)],
)
def test_waiting_threads_give_their_processor_away_unless_told_otherwise(
    own: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {k: v for k, v in os.environ.items() if "OMP" not in k}
    monkeypatch.setattr(os, "environ", environment | own)
    yield_processors()
    assert os.environ.get("GOMP_SPINCOUNT") == expected
