"""Asking an endpoint over HTTP: limits, retries, budget, keys, and nothing asked twice."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tests.scripted_endpoint import Asked, ScriptedEndpoint, Step
from tests.servers import free_port
from training.endpoint.asking import Asker, Outcome, Patience
from training.endpoint.budget import Budget, Prices
from training.endpoint.client import Address, Endpoint
from training.endpoint.errors import EndpointError, Unreachable, Unsuitable, WrongKey
from training.endpoint.journal import Journal
from training.endpoint.pace import Pace
from training.endpoint.progress import Board
from training.endpoint.request import Request, Sampling

SAMPLING = Sampling(max_tokens=64)
QUICK = Patience(attempts=4, first=0.01, longest=0.02)


def requests(number: int) -> list[Request]:
    return [Request(f"r{i}", ({"role": "user", "content": f"word {i}"},)) for i in range(number)]


class Job:
    """A job at an endpoint, with everything that the tests want to change."""

    def __init__(self, path: Path, url: str) -> None:
        self.path, self.address = path, Address(url, "scripted", "secret", silence=5)
        self.prices, self.budget, self.patience = Prices(), None, QUICK
        self.at_once = 4
        self.told = io.StringIO()

    def run(self, asked: list[Request]) -> Outcome:
        with Journal(self.path, self.address.model, SAMPLING) as journal:
            budget = Budget(self.prices, self.budget, journal.usage)
            board = Board(Console(file=self.told), "asking", len(asked), bool(self.prices))
            pace = Pace(0, 0, time.monotonic)
            asker = Asker(
                Endpoint(self.address, SAMPLING),
                journal,
                pace,
                budget,
                board,
                self.at_once,
                self.patience,
            )
            return asker.run(asked)

    def texts(self, asked: list[Request]) -> list[str | None]:
        with Journal(self.path, self.address.model, SAMPLING) as journal:
            replies = [journal.get(request) for request in asked]
        return [reply and reply.text for reply in replies]


def scripted(step: Callable[[Asked], Step]) -> ScriptedEndpoint:
    return ScriptedEndpoint(script=step)


def test_every_reply_is_kept_and_none_asked_twice(tmp_path: Path) -> None:
    with ScriptedEndpoint(key="secret") as endpoint:
        job = Job(tmp_path / "replies.jsonl", endpoint.url)
        assert job.run(requests(5)) == Outcome(kept=5)
        assert job.run(requests(8)) == Outcome(kept=3)
    assert job.texts(requests(8)) == [f"You said: word {i}" for i in range(8)]
    assert len(endpoint.asked) == 8


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (Step(status=500), "500"),
        (Step(status=429, headers={"Retry-After": "0"}), "429"),
        (Step(cut=True), ""),
        (Step(finish=""), "cut off"),
        (Step(delay=0.6), "silence"),
    ],
    ids=["500", "429", "cut stream", "no end", "silence"],
)
def test_passing_trouble_is_asked_again(tmp_path: Path, trouble: Step, reason: str) -> None:
    with scripted(lambda asked: trouble if asked.attempt < 3 else Step()) as endpoint:
        job = Job(tmp_path / "replies.jsonl", endpoint.url)
        job.address = replace(job.address, silence=0.3)
        assert job.run(requests(3)) == Outcome(kept=3)
    assert job.texts(requests(3)) == [f"You said: word {i}" for i in range(3)]
    assert sorted(asked.attempt for asked in endpoint.asked) == [1] * 3 + [2] * 3 + [3] * 3


def test_trouble_that_stays_fails_the_request_alone(tmp_path: Path) -> None:
    with scripted(lambda a: Step(status=500 if "word 1" in a.question else 200)) as endpoint:
        outcome = Job(tmp_path / "replies.jsonl", endpoint.url).run(requests(3))
    assert outcome.kept == 2
    (failure,) = outcome.failures
    assert failure.id == "r1" and failure.reason == "500: scripted (4 attempts)"
    assert len(endpoint.asked) == 2 + 4


def test_a_refusal_is_not_asked_again(tmp_path: Path) -> None:
    refuse = Step(status=400, text="the prompt is too long")
    with scripted(lambda a: refuse if "word 1" in a.question else Step()) as endpoint:
        outcome = Job(tmp_path / "replies.jsonl", endpoint.url).run(requests(3))
    assert [(f.id, f.reason) for f in outcome.failures] == [("r1", "400: the prompt is too long")]
    assert len(endpoint.asked) == 3


def test_an_endpoint_that_refuses_everything_is_not_asked_for_ever(tmp_path: Path) -> None:
    with scripted(lambda asked: Step(status=422)) as endpoint:
        with pytest.raises(Unsuitable, match="20 requests in a row came to nothing"):
            Job(tmp_path / "replies.jsonl", endpoint.url).run(requests(100))
        assert len(endpoint.asked) <= 24


@pytest.mark.parametrize(
    ("step", "error", "words"),
    [
        (Step(status=401), WrongKey, "refuses the key with 401"),
        (Step(status=403), WrongKey, "refuses the key with 403"),
        (Step(status=429, code="insufficient_quota"), WrongKey, "whose account can pay"),
        (Step(status=404), Unsuitable, "the model's name 'scripted'"),
        (Step(status=429, headers={"Retry-After": "86400"}), Unreachable, "wait for 86,400 sec"),
    ],
)
def test_what_no_retry_helps_stops_at_once(
    tmp_path: Path, step: Step, error: type[EndpointError], words: str
) -> None:
    with scripted(lambda asked: step) as endpoint:
        with pytest.raises(error, match=words):
            Job(tmp_path / "replies.jsonl", endpoint.url).run(requests(100))
        assert len(endpoint.asked) <= 4


def test_nobody_there(tmp_path: Path) -> None:
    job = Job(tmp_path / "replies.jsonl", f"http://127.0.0.1:{free_port()}/v1")
    with pytest.raises(Unreachable, match="Nobody answers"):
        job.run(requests(3))


def test_the_pause_that_an_endpoint_asks_for_holds_for_all(tmp_path: Path) -> None:
    limit = Step(status=429, headers={"Retry-After": "0.4"})
    with scripted(lambda a: limit if a.number == 1 else Step(delay=0.05)) as endpoint:
        job = Job(tmp_path / "replies.jsonl", endpoint.url)
        assert job.run(requests(12)).kept == 12
        after = [a.at - endpoint.asked[0].at for a in endpoint.asked[1:]]
    # What was under way already may still come; the same request, not before its time.
    again = next(a for a in endpoint.asked if a.attempt == 2)
    assert again.at - endpoint.asked[0].at >= 0.4
    assert len([gap for gap in after if gap < 0.4]) <= 3


def test_the_budget_is_never_overdrawn_and_the_job_goes_on_with_more(tmp_path: Path) -> None:
    with ScriptedEndpoint() as endpoint:
        job = Job(tmp_path / "replies.jsonl", endpoint.url)
        job.prices, job.budget = Prices(1.0, 1000.0), 0.1
        outcome = job.run(requests(100))
        assert outcome.stopped and "nothing is asked twice" in str(outcome.stopped)
        assert 0 < outcome.kept < 100 and not outcome.failures
        with Journal(job.path, "scripted", SAMPLING) as journal:
            assert 0.1 - 0.065 < job.prices.of(journal.usage) <= 0.1
        job.budget = 10.0
        assert job.run(requests(100)).kept == 100 - outcome.kept
        assert len(endpoint.asked) == 100


def test_a_reply_that_is_cut_off_is_paid_for(tmp_path: Path) -> None:
    with scripted(lambda asked: Step(cut=True) if asked.attempt == 1 else Step()) as endpoint:
        job = Job(tmp_path / "replies.jsonl", endpoint.url)
        job.run(requests(1))
        with Journal(job.path, "scripted", SAMPLING) as journal:
            assert len(journal) == 1 and journal.usage.estimated
            assert journal.usage.written > len(["You", "said:", "word", "0"])


def test_tokens_are_estimated_where_the_endpoint_does_not_count(tmp_path: Path) -> None:
    with scripted(lambda asked: Step(usage=False)) as endpoint:
        job = Job(tmp_path / "replies.jsonl", endpoint.url)
        job.run(requests(1))
    with Journal(job.path, "scripted", SAMPLING) as journal:
        assert journal.usage.estimated and journal.usage.read > 0
