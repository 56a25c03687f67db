"""Waiting, cancelling and draining, with a model that a test moves step by step."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.queue_place import QueuePlace
from app.worker import wire
from tests.app.worker.conftest import Worker, question
from tests.fakes import ScriptedBackend
from tests.waiting import eventually

Start = Callable[..., Worker]


def gated(words: int = 100) -> ScriptedBackend:
    return ScriptedBackend(words=["word "] * words, gate=threading.Semaphore(0))


def release(backend: ScriptedBackend, steps: int = 1000) -> None:
    assert backend.gate
    backend.gate.release(steps)


def test_answers_come_in_the_order_of_the_questions(start: Start) -> None:
    backend = gated(words=1)
    worker = start(backend)
    with ThreadPoolExecutor() as pool:
        replies = []
        for number in range(3):
            replies.append(pool.submit(worker.ask, f"question {number}"))
            worker.until(active=1, waiting=number)
        release(backend)
        assert [reply.result().status_code for reply in replies] == [200] * 3
    assert [c.messages[-1].text for c in backend.seen] == [f"question {n}" for n in range(3)]


def test_a_full_queue_says_how_many_wait(start: Start) -> None:
    backend = gated(words=1)
    worker = start(backend, max_waiting=2)
    with ThreadPoolExecutor() as pool:
        replies = [pool.submit(worker.ask) for _ in range(3)]
        worker.until(active=1, waiting=2)
        refused = worker.ask()
        release(backend)
        assert [reply.result().status_code for reply in replies] == [200] * 3
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (503, "busy")
    assert "2 requests are already waiting" in error["message"]


def test_without_waiting_places_one_request_is_still_served(start: Start) -> None:
    backend = gated(words=1)
    worker = start(backend, max_waiting=0)
    with ThreadPoolExecutor() as pool:
        reply = pool.submit(worker.ask)
        worker.until(active=1)
        assert worker.ask().status_code == 503
        release(backend)
        assert reply.result().status_code == 200


def test_two_models_answer_at_the_same_time(start: Start) -> None:
    slow, fast = gated(words=1), ScriptedBackend()
    slow.info = slow.info.model_copy(update={"id": "slow"})
    worker = start(slow, fast)
    with ThreadPoolExecutor() as pool:
        reply = pool.submit(worker.ask, model="slow")
        worker.until(active=1)
        assert worker.ask(model="scripted").status_code == 200
        release(slow)
        assert reply.result().status_code == 200


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_ends_the_generation(start: Start, stream: bool) -> None:
    backend = gated()
    worker = start(backend)
    release(backend, 3)
    with worker.ask_by_socket(stream=stream):
        worker_has_steps(backend, 3)
    time.sleep(0.2)
    # The model hangs in its fourth step: the place stays taken until it has really stopped.
    assert worker.client.get("/health").json()["active"] == 1
    release(backend)
    worker.until(active=0)
    assert backend.steps <= 3 + 2


def worker_has_steps(backend: ScriptedBackend, steps: int) -> None:
    eventually(lambda: backend.steps >= steps)


def test_a_client_that_leaves_the_line_is_never_generated_for(start: Start) -> None:
    backend = gated(words=1)
    worker = start(backend)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(worker.ask, "first")
        worker.until(active=1, waiting=0)
        with worker.ask_by_socket("second"):
            worker.until(active=1, waiting=1)
        worker.until(active=1, waiting=0)
        release(backend)
        assert first.result().status_code == 200
    assert [c.messages[-1].text for c in backend.seen] == ["first"]


def test_a_waiting_stream_shows_signs_of_life(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.worker.api.FIRST_PIECE_SECONDS", 0.05)
    monkeypatch.setattr(wire, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(wire, "KEEP_ALIVE_SECONDS", 0.05)
    backend = gated(words=1)
    worker = start(backend)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(worker.ask)
        worker.until(active=1)
        second = pool.submit(worker.ask)
        worker.until(active=1, waiting=1)
        body = question(stream=True)
        with worker.client.stream("POST", "/v1/chat/completions", json=body) as reply:
            lines = (line for line in reply.iter_lines() if line)
            assert next(lines).startswith("data: "), "the role"
            told = [QueuePlace.from_line(next(lines)) for _ in range(2)]
            assert told == [QueuePlace(before=1)] * 2, "again, although nothing has changed"
            release(backend, 1)
            assert first.result().status_code == 200
            before = [place.before for line in lines if (place := moved(line, backend))]
            assert before[-1] == 0 and set(before) <= {0, 1}
        assert second.result().status_code == 200


def moved(line: str, backend: ScriptedBackend) -> QueuePlace | None:
    """The place that the line tells; the model goes on once it is the first."""
    place = QueuePlace.from_line(line)
    if place and place.before == 0:
        assert place.seconds is not None and place.seconds > 0, "the first answer took a while"
        release(backend)
    return place


async def test_draining_finishes_what_is_in_work_and_takes_nothing_new(start: Start) -> None:
    backend = gated(words=2)
    worker = start(backend)
    with ThreadPoolExecutor() as pool:
        reply = pool.submit(worker.ask)
        worker.until(active=1)
        worker.service.drain()
        refused = worker.ask()
        release(backend)
        assert await worker.service.idle(10)
        assert reply.result().json()["choices"][0]["finish_reason"] == "stop"
    assert refused.status_code == 503
    assert "shutting down" in refused.json()["error"]["message"]


async def test_draining_cancels_what_takes_too_long(start: Start) -> None:
    backend = gated()
    worker = start(backend)
    release(backend, 1)
    with ThreadPoolExecutor() as pool:
        reply = pool.submit(worker.ask)
        worker_has_steps(backend, 1)
        assert not await worker.service.idle(0.05)
        release(backend)
        assert reply.result().json()["choices"][0]["finish_reason"] == "cancelled"
    assert backend.steps <= 1 + 2
