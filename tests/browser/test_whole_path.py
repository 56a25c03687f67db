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

from tests.browser.axe import faults
from tests.browser.chat import ANSWER_SECONDS, Chat
from tests.browser.conftest import Visitors
from tests.servers import free_port
from tests.tiny_checkpoint import make_endless_checkpoint

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "assets" / "examples"
START_SECONDS = 120

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


class App:
    """The app as ``make chat`` starts it, on free ports and with a data folder of its own."""

    def __init__(self, folder: Path, *models: Path, longest: int = 512) -> None:
        ports = {name: free_port() for name in ("--port", "--controller-port", "--worker-port")}
        self.url = f"http://127.0.0.1:{ports['--port']}"
        self.data = folder / "data"
        self._output = folder / "output"
        self._flags = [f"{name}={port}" for name, port in ports.items()]
        self._flags += [f"--data-dir={self.data}", f"--default-max-tokens={longest}"]
        self._flags += [f"--model={model}" for model in models]
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

    def kill_worker_in_work(self, chat: Chat) -> str:
        """As the system does when memory runs out; the launcher starts another one.

        The worker is held first, so that it is still at the answer. Returns what was to be read.
        """
        assert self._process
        children = psutil.Process(self._process.pid).children()
        worker = next(child for child in children if "worker" in child.cmdline()[:4])
        worker.suspend()
        chat.page.wait_for_timeout(500)
        written = chat.answers.last.inner_text().strip()
        worker.kill()
        return written

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


@pytest.fixture
def app_with_endless(tmp_path: Path) -> Iterator[App]:
    """Beside a bundled checkpoint, one whose answers have no end."""
    bundled = ROOT / "assets" / "checkpoints" / "llava-tiny-stage2"
    app = App(tmp_path, bundled, make_endless_checkpoint(tmp_path / "endless"), longest=8000)
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

    look_at_the_model(chat)
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


def look_at_the_model(chat: Chat) -> None:
    """What it receives of the picture, and its card."""
    chat.log.get_by_role("button", name="Open picture 1 large").click()
    dialog = chat.page.get_by_role("dialog", name="Picture")
    dialog.get_by_role("button", name="What the model receives").click()
    expect(dialog.get_by_role("status")).to_contain_text("96 × 96 pixels")
    expect(dialog.get_by_role("status")).to_contain_text("64 visual tokens")
    expect(dialog.get_by_role("img", name="The whole picture")).to_be_visible()
    chat.screenshot("received")
    assert faults(chat.page) == []
    dialog.get_by_role("button", name="The picture itself").click()
    expect(dialog.get_by_role("img", name="Picture 1")).to_be_visible()
    dialog.press("Escape")
    expect(dialog).to_have_count(0)
    chat.page.get_by_role("button", name="About the models").click()
    models = chat.page.get_by_role("dialog", name="The models")
    expect(models.get_by_role("article").first).to_contain_text("96.1%")
    chat.screenshot("models")
    models.get_by_role("button", name="Close").click()
    expect(models).to_have_count(0)


def shown(chat: Chat) -> None:
    """Three turns with their picture, answers and rating."""
    expect(chat.answers).to_have_text(["Four.", "A triangle.", "At the bottom right."])
    expect(chat.questions.first.get_by_role("img")).to_have_count(1)
    expect(chat.page.get_by_label("Answer 2 of 2")).to_be_visible()
    expect(chat.buttons("Liked")).to_have_count(1)


def test_an_example_is_answered_and_a_worker_killed_in_mid_answer_comes_back(
    app_with_endless: App, visitors: Visitors
) -> None:
    app = app_with_endless
    chat = visitors.open(app.url)
    chat.log.get_by_role("button", name=re.compile("star")).click()
    expect(chat.answers).to_have_text("Purple.")
    chat.page.get_by_role("button", name="New chat").click()
    expect(chat.answers).to_have_count(0)
    chat.add_picture(EXAMPLES / "landscape.png")
    assert chat.ask("What do you see?") == "I see none of the things I know."

    chat.model.click()
    chat.page.get_by_role("option", name="endless").click()
    chat.send("Go on for ever.")
    expect(chat.answers).to_have_count(2)
    expect(chat.answers.last).to_contain_text(re.compile(r"\w"))
    written = app.kill_worker_in_work(chat)
    expect(chat.log).to_contain_text("The worker went away in the middle of this answer.")
    assert written in chat.answers.last.inner_text()
    deadline = time.monotonic() + START_SECONDS
    writing = chat.log.locator("[aria-busy=true]:not(:has(.thinking))")
    while not writing.is_visible():
        assert time.monotonic() < deadline, "the worker did not come back"
        if not chat.stop.is_visible():
            chat.press("Retry")
        chat.page.wait_for_timeout(500)
    chat.stop.click()
    chat.finished()
    expect(chat.notice).to_have_count(0)
    rows = app.rows("select finish_reason from answers order by created_at")
    kept = [reason for (reason,) in rows]
    assert kept[:3] == ["stop", "stop", "error"] and kept[-1] == "cancelled"
