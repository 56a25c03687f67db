"""What one person may ask for."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.access import PersonLimits, limits_of
from app.controller.limits import AskingLimits
from app.errors import TooMany
from app.settings import Settings
from tests.app.controller.conftest import SECRET, Desk, code
from tests.fakes import ScriptedBackend
from tests.pictures import png, question


def test_questions_of_a_minute_are_counted_for_each_person() -> None:
    now = 100.0
    limits = AskingLimits(PersonLimits(questions_per_minute=2), lambda: now)
    for person in ("a", "a", "b"):
        limits.begin(person)
        limits.end(person)
    now = 130.0
    with pytest.raises(TooMany, match="2 questions") as caught:
        limits.begin("a")
    assert caught.value.retry_after == 30 and "30 seconds" in caught.value.remedy
    now = 160.0
    limits.begin("a")


def test_limits_are_off_on_loopback_and_on_elsewhere() -> None:
    assert limits_of(Settings()) == PersonLimits()
    assert limits_of(Settings(questions_per_minute=3)).questions_per_minute == 3
    usual = limits_of(Settings(login=True))
    assert min(usual.questions_per_minute, usual.answers_at_once, usual.picture_bytes) > 0


def test_too_many_questions_are_told_when_to_come_again(tmp_path: Path) -> None:
    with ExitStack() as stack:
        settings = Settings(data_dir=tmp_path, secret=SECRET, questions_per_minute=1)
        desk = Desk(settings, stack)
        desk.add_worker(ScriptedBackend())
        assert desk.ask(question("What?")).is_success
        refused = desk.ask(question("What?"))
        assert code(refused) == (429, "too_many") and 0 < int(refused.headers["Retry-After"]) <= 60
        assert desk.client.get("/api/conversations").json()["total"] == 1


def test_answers_at_once(tmp_path: Path) -> None:
    gate = threading.Semaphore(0)
    backend = ScriptedBackend(gate=gate)
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        desk = Desk(Settings(data_dir=tmp_path, secret=SECRET, answers_at_once=1), stack)
        desk.add_worker(backend)
        running = pool.submit(desk.ask, question("What?"))
        while not backend.seen:
            pass
        refused = desk.ask(question("What?"))
        assert code(refused) == (429, "too_many") and "Retry-After" in refused.headers
        gate.release(100)
        assert running.result().is_success
        assert desk.ask(question("What?")).is_success


def test_a_refused_question_takes_no_place(tmp_path: Path) -> None:
    with ExitStack() as stack:
        desk = Desk(Settings(data_dir=tmp_path, secret=SECRET, answers_at_once=1), stack)
        desk.add_worker(ScriptedBackend())
        for _ in range(3):
            assert code(desk.ask(question(""))) == (400, "empty_message")
        assert desk.ask(question("What?")).is_success


def test_stored_pictures(tmp_path: Path) -> None:
    with ExitStack() as stack:
        desk = Desk(Settings(data_dir=tmp_path, secret=SECRET, pictures_mb=1), stack)
        desk.add_worker(ScriptedBackend())
        noise = noisy(560)
        first = desk.ask(question("What?", noise))
        assert first.is_success
        refused = desk.ask(question("What?", noisy(400)))
        assert code(refused) == (429, "too_many") and "Delete" in refused.text
        assert desk.ask(question("No picture?")).is_success
        desk.client.delete(f"/api/conversations/{first.json()['conversation_id']}")
        assert desk.ask(question("What?", png())).is_success


def noisy(side: int) -> bytes:
    """A picture that cannot be compressed: about three bytes for each pixel."""
    import io
    import random

    from PIL import Image

    pixels = random.Random(side).randbytes(side * side * 3)
    buffer = io.BytesIO()
    Image.frombytes("RGB", (side, side), pixels).save(buffer, "PNG")
    return buffer.getvalue()
