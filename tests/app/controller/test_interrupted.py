"""Answers that do not come to their end: people leave, workers die, the database is locked."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from app.controller.run import SAVE_SECONDS
from app.protocol import ModelInfo
from app.settings import Settings
from app.worker.api import create_app as create_worker
from tests.app.controller.conftest import SECRET, Desk, code
from tests.fakes import BreakingWorker, ScriptedBackend
from tests.pictures import question
from tests.servers import running
from tests.waiting import eventually


def test_leaving_cancels_the_work_within_two_steps_and_keeps_the_text(desk: Desk) -> None:
    gate = threading.Semaphore(0)
    backend = ScriptedBackend(words=["word "] * 100, gate=gate)
    desk.add_worker(backend)
    body = {"messages": [question("long?")], "stream": True}
    conversation = ""
    with desk.client.stream("POST", "/v1/chat/completions", json=body) as reply:
        gate.release(3)
        words = 0
        for line in reply.iter_lines():
            if line.startswith("data: "):
                event = json.loads(line[6:])
                conversation = event["conversation_id"]
                words += bool(event["choices"][0]["delta"].get("content"))
            if words == 3:
                break
    answer = desk.until_ended(conversation)
    gate.release(100)
    time.sleep(0.2)
    assert backend.steps <= 5
    assert answer["finish_reason"] == "cancelled" and answer["text"] == "word word word "


def test_a_worker_that_dies_in_the_middle_leaves_its_text(desk: Desk) -> None:
    with running(BreakingWorker(["Half ", "an "])) as url:
        desk.register(url, ScriptedBackend(info=ModelInfo(id="breaking")))
        events = desk.stream(question("What?"))
    assert events[-1]["error"]["code"] == "worker_lost"
    answer = desk.conversation(events[0]["conversation_id"])["turns"][0]["answers"][0]
    assert answer["text"] == "Half an " and answer["error"] == "worker_lost"
    assert answer["finish_reason"] == "error"


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Desk]:
    """A controller that gives a worker up after some seconds without a word."""
    settings = Settings(data_dir=tmp_path, secret=SECRET, answer_timeout_seconds=2.5)
    with ExitStack() as stack:
        yield Desk(settings, stack)


def test_a_silent_worker_is_given_up(hasty: Desk) -> None:
    gate = threading.Semaphore(0)
    hasty.add_worker(ScriptedBackend(gate=gate))
    reply = hasty.ask(question("What?"))
    gate.release(10)
    assert code(reply) == (502, "worker_lost") and "silent" in reply.text


def test_a_dead_worker_is_replaced_by_a_living_one(desk: Desk, backend: ScriptedBackend) -> None:
    desk.register("http://127.0.0.1:9", backend)
    desk.add_worker(backend)
    reply = desk.ask(question("What?"))
    assert reply.json()["choices"][0]["message"]["content"] == "A red circle."


def test_a_worker_that_dies_before_its_first_word_is_replaced(
    desk: Desk, backend: ScriptedBackend
) -> None:
    with running(BreakingWorker([])) as url:
        desk.register(url, ScriptedBackend(info=ModelInfo(id="scripted", revision="old")))
        backend.info = ModelInfo(id="scripted", revision="new", precision="8bit")
        desk.add_worker(backend)
        events = desk.stream(question("What?"))
    text = "".join(e["choices"][0]["delta"].get("content") or "" for e in events)
    assert text == "A red circle."
    rows = sqlite3.connect(desk.settings.data_dir / "studio.db").execute(
        "SELECT text, revision, precision FROM answers"
    )
    assert list(rows) == [("A red circle.", "new", "8bit")]


def test_a_failed_first_answer_does_not_become_the_head(
    desk: Desk, backend: ScriptedBackend
) -> None:
    first_worker = desk.add_worker(backend)
    reply = desk.ask(question("one")).json()
    desk.app.state.registry.leave(first_worker)
    desk.register("http://127.0.0.1:9", backend)
    failed = desk.ask(question("two"), conversation_id=reply["conversation_id"])
    assert code(failed)[1] == "worker_lost"
    turns = desk.conversation(reply["conversation_id"])["turns"]
    assert [turn["text"] for turn in turns] == ["one"]


def test_a_failed_regeneration_leaves_the_path_as_it_was(
    desk: Desk, backend: ScriptedBackend
) -> None:
    worker = desk.add_worker(backend)
    first = desk.ask(question("one")).json()
    second = desk.ask(question("two"), conversation_id=first["conversation_id"]).json()
    desk.app.state.registry.leave(worker)
    desk.register("http://127.0.0.1:9", backend)
    assert code(desk.ask(regenerate_of=first["id"])) == (502, "worker_lost")
    turns = desk.conversation(first["conversation_id"])["turns"]
    assert [turn["chosen"] for turn in turns] == [first["id"], second["id"]]


def test_a_failure_does_not_take_another_tabs_answer_off_the_path(
    hasty: Desk, backend: ScriptedBackend
) -> None:
    hasty.add_worker(backend)
    first = hasty.ask(question("one")).json()
    silent = ScriptedBackend(info=ModelInfo(id="silent"), gate=threading.Semaphore(0))
    hasty.add_worker(silent)
    conversation = first["conversation_id"]
    with ThreadPoolExecutor() as pool:
        failing = pool.submit(
            hasty.ask, question("left"), conversation_id=conversation, model="silent"
        )
        eventually(lambda: silent.seen)
        hasty.ask(question("right"), conversation_id=conversation, parent_answer_id=first["id"])
        assert code(failing.result()) == (502, "worker_lost")
    silent.gate.release(3)
    turns = hasty.conversation(conversation)["turns"]
    assert [turn["text"] for turn in turns] == ["one", "right"]


def test_leaving_while_the_question_is_being_stored_cancels_its_answer(desk: Desk) -> None:
    backend = ScriptedBackend(gate=threading.Semaphore(0))
    desk.add_worker(backend)
    with desk.locked(), pytest.raises(httpx.ReadTimeout):
        body = {"messages": [question("What?")]}
        httpx.post(f"{desk.url}/v1/chat/completions", json=body, timeout=1.5, trust_env=False)
    eventually(lambda: desk.client.get("/api/conversations").json()["conversations"])
    (stored,) = desk.client.get("/api/conversations").json()["conversations"]
    assert desk.until_ended(stored["id"])["finish_reason"] == "cancelled"
    backend.gate.release(10)


def test_a_controller_that_stops_keeps_what_was_written(tmp_path: Path) -> None:
    gate = threading.Semaphore(2)
    backend = ScriptedBackend(gate=gate)
    settings = Settings(data_dir=tmp_path, secret=SECRET)
    with ExitStack() as around, ThreadPoolExecutor() as pool:
        url = around.enter_context(running(create_worker(settings, [backend])))
        with ExitStack() as stack:
            desk = Desk(settings, stack)
            desk.register(url, backend)
            asked = pool.submit(desk.ask, question("What?"))
            eventually(lambda: backend.steps >= 2)
        assert asked.exception() or asked.result().is_error
        gate.release(5)
        again = Desk(settings, around)
        stored = again.client.get("/api/conversations").json()["conversations"]
        answer = again.until_ended(stored[0]["id"])
        assert (answer["text"], answer["finish_reason"]) == ("A red ", "cancelled")


# --- a locked database ----------------------------------------------------------------------------


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Desk]:
    """A controller that waits for a lock for a fifth of a second only."""
    with ExitStack() as stack:
        yield Desk(Settings(data_dir=tmp_path, secret=SECRET), stack, busy_seconds=0.2)


def test_a_locked_database_is_said_and_works_again(
    impatient: Desk, backend: ScriptedBackend
) -> None:
    impatient.add_worker(backend)
    answer = impatient.ask(question("What?")).json()
    rating = {"answer_id": answer["id"], "value": "up"}
    with impatient.locked():
        assert code(impatient.ask(question("What?"))) == (503, "database_busy")
        refused = impatient.client.post("/api/ratings", json=rating)
        assert code(refused) == (503, "database_busy")
        assert impatient.conversation(answer["conversation_id"])["turns"]
    assert impatient.client.post("/api/ratings", json=rating).is_success
    assert impatient.ask(question("What?")).is_success


def test_a_lock_in_the_middle_of_an_answer_costs_nothing(impatient: Desk) -> None:
    gate = threading.Semaphore(1)
    backend = ScriptedBackend(words=("one ", "two ", "three ", "four"), gate=gate)
    impatient.add_worker(backend)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(impatient.ask, question("What?"))
        eventually(lambda: backend.steps)
        with impatient.locked():
            time.sleep(SAVE_SECONDS + 0.1)
            gate.release()  # the text is to be saved now, and cannot be
            time.sleep(0.4)
            gate.release(2)  # the end cannot be saved at the first attempt
            time.sleep(0.3)
        reply = asked.result().json()
    assert reply["choices"][0]["message"]["content"] == "one two three four"
    answer = impatient.until_ended(reply["conversation_id"])
    assert (answer["text"], answer["finish_reason"]) == ("one two three four", "stop")
