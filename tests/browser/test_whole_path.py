"""``python app.py`` with the bundled checkpoints: a person asks, and the answers are right."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import expect

from tests.browser.chat import ANSWER_SECONDS, Chat
from tests.browser.conftest import Visitors
from tests.servers import free_port

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "assets" / "examples"
START_SECONDS = 120

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


class App:
    """The app as ``make chat`` starts it, on free ports and with a data folder of its own."""

    def __init__(self, folder: Path) -> None:
        ports = {name: free_port() for name in ("--port", "--controller-port", "--worker-port")}
        self.url = f"http://127.0.0.1:{ports['--port']}"
        self.data = folder / "data"
        self._output = folder / "output"
        self._flags = [f"{name}={port}" for name, port in ports.items()]
        self._flags.append(f"--data-dir={self.data}")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until a question can be answered."""
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "app.py", *self._flags],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_SECONDS
        while f"LLaVA Studio is ready: {self.url}" not in self._output.read_text():
            assert self._process.poll() is None, self._output.read_text()
            assert time.monotonic() < deadline, self._output.read_text()
            time.sleep(0.2)

    def stop(self) -> None:
        """Ctrl-C."""
        assert self._process
        self._process.send_signal(signal.SIGINT)
        assert self._process.wait(timeout=20) == 0

    def end(self) -> None:
        """Whatever is left of it, at once."""
        if self._process and self._process.poll() is None:
            for child in psutil.Process(self._process.pid).children(recursive=True):
                child.kill()
            self._process.kill()
            self._process.wait()

    def kill_worker(self) -> None:
        """As the system does when memory runs out; the launcher starts another one."""
        assert self._process
        children = psutil.Process(self._process.pid).children()
        next(child for child in children if "worker" in child.cmdline()[:4]).kill()

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """What the database answers."""
        database = sqlite3.connect(self.data / "studio.db")
        rows = database.execute(query).fetchall()
        database.close()
        return rows


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    app = App(tmp_path)
    app.start()
    yield app
    app.end()


def test_a_person_talks_with_a_picture_rates_and_finds_everything_again(
    app: App, visitors: Visitors
) -> None:
    chat = visitors.open(app.url)
    expect(chat.model).to_have_value("llava-tiny-stage2")
    expect(chat.page.locator("#sees")).to_contain_text("circle, square, triangle")
    chat.add_picture(EXAMPLES / "shapes.png")
    assert chat.ask("How many things are there?") == "Four."
    assert chat.ask("Which thing is green?") == "A triangle."
    assert chat.ask("Where is it?") == "At the bottom right."

    chat.press("Retry")
    expect(chat.page.get_by_label("Answer 2 of 2")).to_be_visible(timeout=ANSWER_SECONDS * 1000)
    assert chat.finished() == "At the bottom right."
    chat.press("Like", of=1)
    chat.rating.get_by_label("It is correct").check()
    chat.rating.get_by_role("button", name="Done").click()
    expect(chat.rating).to_be_hidden()
    chat.screenshot("whole-path")

    chat.reload()
    shown(chat)
    app.stop()
    app.start()
    chat.open()
    shown(chat)
    assert app.rows("select value, reason from ratings") == [("up", "correct")]
    assert app.rows("select count(*) from answers") == [(4,)]

    chat.model.click()
    chat.page.get_by_role("option", name="llava-tiny-stage1").click()
    expect(chat.model).to_have_value("llava-tiny-stage1")
    chat.ask("What is at the top left?")
    (last,) = app.rows("select model from answers order by created_at desc limit 1")
    assert last == ("llava-tiny-stage1",)


def shown(chat: Chat) -> None:
    """Three turns with their picture, answers and rating."""
    expect(chat.answers).to_have_text(["Four.", "A triangle.", "At the bottom right."])
    expect(chat.questions.first.get_by_role("img")).to_have_count(1)
    expect(chat.page.get_by_label("Answer 2 of 2")).to_be_visible()
    expect(chat.buttons("Liked")).to_have_count(1)


def test_an_example_is_answered_and_a_killed_worker_comes_back(
    app: App, visitors: Visitors
) -> None:
    chat = visitors.open(app.url)
    chat.log.get_by_role("button", name=re.compile("star")).click()
    expect(chat.answers).to_have_text("Purple.")
    chat.page.get_by_role("button", name="New chat").click()
    expect(chat.answers).to_have_count(0)
    chat.add_picture(EXAMPLES / "landscape.png")
    assert chat.ask("What do you see?") == "I see none of the things I know."

    app.kill_worker()
    chat.send("Are you sure?")
    chat.says("worker")
    expect(chat.box).to_have_value("Are you sure?")
    deadline = time.monotonic() + START_SECONDS
    while chat.answers.count() < 2:
        assert time.monotonic() < deadline, "the worker did not come back"
        chat.box.press("Enter")
        chat.page.wait_for_timeout(1000)
    chat.finished()
    expect(chat.notice).to_have_count(0)
