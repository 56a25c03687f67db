"""A worker with the engine: many requests at once, places in the line, and a model that breaks."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from app.errors import Busy, StudioError
from app.protocol import ModelInfo, Sampling
from app.settings import Settings
from app.worker.backend import EngineBackend
from app.worker.checkpoint import info_of, load_backend
from app.worker.engine import EngineQueue
from app.worker.ticket import Ticket
from llava_core.conversation import Conversation, user
from llava_core.engine.engine import MOST_FAILURES, Engine
from llava_core.engine.runner import Runner
from llava_core.engine.scheduler import Limits, Plan
from llava_core.loading import load_checkpoint
from llava_core.model import Checkpoint
from tests.app.worker.conftest import Worker, events, question
from tests.tiny_checkpoint import make_tiny_checkpoint
from tests.waiting import PATIENCE, eventually


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny"
    make_tiny_checkpoint(path)
    return path


@pytest.fixture
def checkpoint(folder: Path) -> Checkpoint:
    return load_checkpoint(folder, "32bit", "cpu")


class Gate:
    """Steps of the engine wait here until the test lets them pass; ``most`` requests in one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = threading.Event()
        self.open.set()
        self.most = 0
        run = Runner.run

        def gated(runner: Runner, plan: Plan) -> Tensor:
            assert self.open.wait(PATIENCE), "the test has left the gate closed"
            self.most = max(self.most, len(plan.parts))
            return run(runner, plan)

        monkeypatch.setattr(Runner, "run", gated)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(monkeypatch)
    yield gate
    gate.open.set()


def backend(checkpoint: Checkpoint, running: int = 8) -> EngineBackend:
    return EngineBackend(info_of(checkpoint, "tiny"), Engine(checkpoint, Limits(running=running)))


def test_many_people_get_the_answers_that_they_would_get_alone(
    start: Callable[..., Worker], checkpoint: Checkpoint
) -> None:
    worker = start(backend(checkpoint))
    texts = [f"What is number {number}?" for number in range(6)]

    def ask(text: str) -> str:
        reply = worker.ask(text, max_tokens=12).json()
        return str(reply["choices"][0]["message"]["content"])

    alone = [ask(text) for text in texts]
    with ThreadPoolExecutor(len(texts)) as pool:
        assert list(pool.map(ask, texts)) == alone
    assert len(set(alone)) > 1


def test_requests_beyond_the_limit_wait_and_are_answered(
    start: Callable[..., Worker], checkpoint: Checkpoint, gate: Gate
) -> None:
    worker = start(backend(checkpoint, running=2))
    gate.open.clear()
    with ThreadPoolExecutor(4) as pool:
        replies = [pool.submit(worker.ask, f"Question {n}?", max_tokens=4) for n in range(4)]
        eventually(
            lambda: sum(worker.client.get("/health").json()[n] for n in ("active", "waiting")) == 4
        )
        gate.open.set()
        assert all(reply.result().status_code == 200 for reply in replies)
    assert gate.most == 2
    worker.until(active=0, waiting=0)


def test_a_person_who_leaves_frees_the_place(
    start: Callable[..., Worker], checkpoint: Checkpoint, gate: Gate
) -> None:
    worker = start(backend(checkpoint, running=1))
    gate.open.clear()
    first = worker.ask_by_socket("First?", max_tokens=200, stream=True)
    worker.until(active=1)
    second = worker.ask_by_socket("Second?", max_tokens=200, stream=True)
    worker.until(active=1, waiting=1)
    second.close()
    first.close()
    gate.open.set()
    worker.until(active=0, waiting=0)
    assert worker.ask("Third?", max_tokens=3).status_code == 200


def test_what_is_wrong_with_a_request_is_told_before_the_stream_begins(
    start: Callable[..., Worker], checkpoint: Checkpoint
) -> None:
    worker = start(backend(checkpoint))
    reply = worker.ask("word " * 400, stream=True)
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert error["code"] == "context_too_long"
    assert str(checkpoint.context_length) in error["message"]
    worker.until(active=0, waiting=0)


# --- without a server -----------------------------------------------------------------------------


def conversation(text: str = "What is it?") -> Conversation:
    return Conversation((user(text),))


def info(checkpoint: Checkpoint) -> ModelInfo:
    return info_of(checkpoint, "tiny")


async def settled(ticket: Ticket) -> list[Any]:
    return [piece async for piece in ticket.pieces()]


def test_a_full_line_says_when_to_come_again_and_each_place_is_known(
    checkpoint: Checkpoint, gate: Gate
) -> None:
    async def run() -> None:
        queue = EngineQueue(Engine(checkpoint, Limits(running=1)), info(checkpoint), max_waiting=2)
        gate.open.clear()
        tickets = [await queue.submit(conversation(), Sampling(max_tokens=3), "a")]
        while not queue.active:
            await asyncio.sleep(0.01)
        tickets += [await queue.submit(conversation(), Sampling(max_tokens=3), n) for n in "bc"]
        with pytest.raises(Busy, match="2 requests are already waiting") as caught:
            await queue.submit(conversation(), Sampling(), "d")
        assert caught.value.remedy == Busy.default_remedy, "nobody knows yet how long it takes"
        places = [ticket.place for ticket in tickets]
        assert [place.before if place else None for place in places] == [None, 0, 1]
        assert [place.seconds if place else None for place in places] == [None] * 3
        gate.open.set()
        for ticket in tickets:
            assert (await settled(ticket))[-1].finish_reason
        gate.open.clear()
        again = [await queue.submit(conversation(), Sampling(max_tokens=3), n) for n in "abc"]
        while queue.active != 1:
            await asyncio.sleep(0.01)
        with pytest.raises(Busy) as caught:
            await queue.submit(conversation(), Sampling(), "d")
        assert "Try again in about" in caught.value.remedy
        waits = [place.seconds for ticket in again[1:] if (place := ticket.place)]
        assert waits[1] == pytest.approx(2 * waits[0]) and waits[0] > 0
        gate.open.set()
        queue.close()

    asyncio.run(run())


def test_a_model_that_fails_again_and_again_gives_up_and_says_so(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(runner: Runner, plan: Plan) -> Tensor:
        raise RuntimeError("the device has gone")

    monkeypatch.setattr(Runner, "run", fail)

    async def run() -> None:
        broken: list[Exception] = []
        queue = EngineQueue(Engine(checkpoint), info(checkpoint), 8, broken.append)
        for number in range(MOST_FAILURES):
            assert not broken
            ticket = await queue.submit(conversation(), Sampling(), str(number))
            with pytest.raises(StudioError, match="RuntimeError") as caught:
                await settled(ticket)
            assert caught.value.remedy
        queue._thread.join(PATIENCE)
        assert [str(error) for error in broken] == ["the device has gone"]

    asyncio.run(run())


def test_after_one_failed_step_the_next_request_works(
    start: Callable[..., Worker], checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Runner.run
    failures = iter([RuntimeError("once")])

    def sometimes(runner: Runner, plan: Plan) -> Tensor:
        for error in failures:
            raise error
        return run(runner, plan)

    monkeypatch.setattr(Runner, "run", sometimes)
    worker = start(backend(checkpoint))
    failed = worker.ask(max_tokens=4)
    assert failed.status_code == 500 and failed.json()["error"]["request_id"]
    assert worker.ask(max_tokens=4).status_code == 200


def test_a_stream_names_the_reason_of_its_end(
    start: Callable[..., Worker], checkpoint: Checkpoint
) -> None:
    worker = start(backend(checkpoint))
    body = {**question("What is it?", max_tokens=3), "stream": True}
    *_, last, done = events(worker.client.post("/v1/chat/completions", json=body).text)
    assert json.loads(last)["choices"][0]["finish_reason"] == "length" and done == "[DONE]"


def test_settings_bound_answers_at_once_and_memory(folder: Path) -> None:
    settings = Settings(precision="32bit", device="cpu", max_running=3, cache_gb=0.001)
    loaded = load_backend(str(folder), settings)
    assert isinstance(loaded, EngineBackend)
    assert loaded.engine.limits.running == 3
    assert 0 < loaded.engine.cache_bytes <= 0.9e6
