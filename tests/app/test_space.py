"""Started as a Hugging Face Space starts it: no flags, only the Space's variables."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from app.access import access_of, check_access, limits_of
from app.flags import parse
from app.settings import Settings
from tests.servers import free_port
from tests.tiny_checkpoint import make_tiny_checkpoint

ROOT = Path(__file__).resolve().parents[2]
SPACE = {"SPACE_ID": "somebody/llava-studio"}


@pytest.fixture(autouse=True)
def plain_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("SPACE_ID", "GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT"):
        monkeypatch.delenv(name, raising=False)


def test_on_a_space_the_page_alone_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", SPACE["SPACE_ID"])
    settings = parse([]).settings
    assert (settings.page_listens_on, settings.port) == ("0.0.0.0", 7860)
    assert settings.host == "127.0.0.1" and access_of(settings) == "open"
    assert settings.page_address == "http://127.0.0.1:7860"
    assert limits_of(settings).questions_per_minute
    check_access(settings, settings.page_listens_on)


def test_a_space_can_ask_for_logins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", SPACE["SPACE_ID"])
    assert access_of(parse(["--login"]).settings) == "login"
    monkeypatch.setenv("LLAVA_STUDIO_LOGIN", "true")
    assert access_of(Settings()) == "login"


def test_gradios_variables_move_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_SERVER_NAME", "127.0.0.2")
    monkeypatch.setenv("GRADIO_SERVER_PORT", "8123")
    settings = parse([]).settings
    assert (settings.page_listens_on, settings.port, settings.host) == (
        "127.0.0.2",
        8123,
        "127.0.0.1",
    )
    assert parse(["--port", "8000"]).settings.port == 8000
    assert parse(["--page-host", "127.0.0.3"]).settings.page_listens_on == "127.0.0.3"


def test_a_variable_that_is_no_port(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRADIO_SERVER_PORT", "many")
    with pytest.raises(SystemExit):
        parse([])
    assert "GRADIO_SERVER_PORT is 'many'" in capsys.readouterr().err


def test_elsewhere_strangers_need_a_decision(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from app.launch import main

    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    assert main(["--data-dir", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "0.0.0.0" in told and "--login" in told and "--open" in told


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_it_starts_and_answers(tmp_path: Path) -> None:
    make_tiny_checkpoint(tmp_path / "tiny")
    port, controller, worker = free_port(), free_port(), free_port()
    surroundings = (
        os.environ
        | SPACE
        | {
            "GRADIO_SERVER_PORT": str(port),
            "LLAVA_STUDIO_CONTROLLER_PORT": str(controller),
            "LLAVA_STUDIO_WORKER_PORT": str(worker),
            "LLAVA_STUDIO_MODEL": f'["{tmp_path / "tiny"}"]',
            "LLAVA_STUDIO_DATA_DIR": str(tmp_path / "data"),
        }
    )
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=surroundings, stdout=output, stderr=output
        )
    try:
        until(lambda: "is ready" in (tmp_path / "output").read_text(), process)
        family = [process_of(process.pid), *process_of(process.pid).children(recursive=True)]
        listening = {
            (each.laddr.ip, each.laddr.port)
            for member in family
            for each in member.net_connections("tcp")
            if each.status == psutil.CONN_LISTEN
        }
        assert {("0.0.0.0", port), ("127.0.0.1", controller), ("127.0.0.1", worker)} <= listening
        with httpx.Client(trust_env=False, timeout=60) as client:
            assert "LLaVA Studio" in client.get(f"http://127.0.0.1:{port}/").text
            me = client.get(f"http://127.0.0.1:{controller}/api/me").json()
            assert me["access"] == "open" and me["consent"]["allowed"] is False
            body = {"messages": [{"role": "user", "content": "What?"}], "max_tokens": 2}
            asked = client.post(f"http://127.0.0.1:{controller}/v1/chat/completions", json=body)
            assert asked.is_success, asked.text
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def process_of(pid: int) -> psutil.Process:
    return psutil.Process(pid)


def until(condition: object, process: subprocess.Popen[bytes]) -> None:
    """Wait until it is so; fails where the process ends before."""
    assert callable(condition)
    deadline = time.monotonic() + 200
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
