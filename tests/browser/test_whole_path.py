"""The whole path: ``python app.py`` with the bundled checkpoints, a browser, and a right answer.

Three turns about one picture, the last of which cannot be answered without the answer before it;
then another answer, a rating, the other checkpoint, a restart of everything, and a reload.
"""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import expect

from app.settings import BUNDLED, ROOT
from tests.browser.chat import Chat
from tests.browser.conftest import Visitors
from tests.servers import free_port
from training.drawing import draw_image
from training.scenes import Scene, Thing, reading_order

STAGE_1, STAGE_2 = "llava-tiny-stage1", "llava-tiny-stage2"
START_SECONDS = 120

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not (BUNDLED / STAGE_2).is_dir(), reason="no bundled checkpoint yet: run make tiny"
    ),
]

SCENE = Scene(
    reading_order(
        [
            Thing("star", "red", "large", 0.24, 0.25, 0.165),
            Thing("fish", "blue", "medium", 0.76, 0.5, 0.115),
            Thing("house", "green", "large", 0.25, 0.76, 0.165),
        ]
    ),
    background="plain",
    finish="sharp",
    seed=7001,
)


class Installed:
    """``python app.py`` as people start it, on free ports, with its data in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._output = folder / "output.txt"
        self._data = folder / "data"
        ports = {flag: free_port() for flag in ("--port", "--controller-port", "--worker-port")}
        self._flags = [f"{flag}={port}" for flag, port in ports.items()]
        self.url = f"http://127.0.0.1:{ports['--port']}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait for the line that says that a question can be answered."""
        command = [sys.executable, "app.py", *self._flags, f"--data-dir={self._data}"]
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + START_SECONDS
        while f"LLaVA Studio is ready: {self.url}" not in self.said():
            assert self._process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)

    def stop(self) -> None:
        """Ctrl-C."""
        assert self._process
        self._process.send_signal(signal.SIGINT)
        assert self._process.wait(timeout=30) == 0, self.said()

    def end(self) -> None:
        """Leave nothing running, whatever has happened."""
        if self._process and self._process.poll() is None:
            for child in psutil.Process(self._process.pid).children(recursive=True):
                child.kill()
            self._process.kill()
            self._process.wait()

    def said(self) -> str:
        return self._output.read_text()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the database answers."""
        database = sqlite3.connect(self._data / "studio.db")
        try:
            return database.execute(query).fetchall()
        finally:
            database.close()


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Installed]:
    """The app, started."""
    installed = Installed(tmp_path)
    try:
        installed.start()
        yield installed
    finally:
        installed.end()


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """The scene as a picture file."""
    path = tmp_path / "scene.png"
    draw_image(SCENE, 384).save(path)
    return path


def test_a_person_talks_with_a_picture_and_rates_the_answer(
    visitors: Visitors, installed: Installed, drawn: Path
) -> None:
    chat = visitors.open(installed.url)
    expect(chat.model).to_have_value(STAGE_2)
    chat.screenshot("whole-path-empty")
    three_turns(chat, drawn)
    regenerate_and_rate(chat, installed)
    ask_the_other_checkpoint(chat, installed)
    shown = chat.answers.all_inner_texts()

    installed.stop()
    installed.start()
    chat.reload()
    expect(chat.answers).to_have_count(4)
    assert chat.answers.all_inner_texts() == shown
    expect(chat.buttons("Disliked")).to_have_count(1)
    expect(chat.questions.get_by_role("img")).to_have_count(1)
    choose(chat, STAGE_2)
    assert chat.ask("What colour is the house?") == "Green."
    chat.screenshot("whole-path")
    installed.stop()


def three_turns(chat: Chat, drawn: Path) -> None:
    """The third question says only "it": its meaning stands in the second answer."""
    chat.add_picture(drawn)
    assert chat.ask("What colour is the star?") == "Red."
    assert chat.ask("What is the blue thing?") == "A fish."
    assert chat.ask("Where is it?") == "At the middle right."


def regenerate_and_rate(chat: Chat, installed: Installed) -> None:
    """Greedy decoding says the same again, as another answer."""
    chat.press("Retry")
    expect(chat.page.get_by_text("Answer 2 of 2")).to_be_visible()
    assert chat.finished() == "At the middle right."
    chat.press("Dislike", of=0)
    chat.rating.get_by_label("It is wrong").check()
    chat.rating.get_by_role("button", name="Done").click()
    expect(chat.rating).to_be_hidden()
    assert installed.rows("select value, reason from ratings") == [("down", "wrong")]
    assert installed.rows("select count(*) from answers") == [(4,)]


def ask_the_other_checkpoint(chat: Chat, installed: Installed) -> None:
    """The checkpoint after stage 1 goes on with the same conversation."""
    choose(chat, STAGE_1)
    assert chat.ask("How many things are there?")
    by_model = "select model, count(*) from answers group by model order by model"
    assert installed.rows(by_model) == [(STAGE_1, 1), (STAGE_2, 4)]


def choose(chat: Chat, model: str) -> None:
    """Choose a model by its name."""
    chat.model.click()
    chat.page.get_by_role("option", name=model).click()
    expect(chat.model).to_have_value(model)
