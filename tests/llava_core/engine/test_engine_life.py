"""The line, its figures, cancelling, and an engine in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from torch import Tensor

from llava_core.engine.building import BLOCK, default_limits
from llava_core.engine.decoder import Decoder
from llava_core.engine.engine import Engine, rows_of
from llava_core.engine.sampling import SamplingParams
from llava_core.engine.scheduler import Limits, Plan
from tests.llava_core.engine.engines import (
    LONGEST,
    TALKS,
    Right,
    Told,
    ask,
    engine_of,
    run_out,
)

SECONDS = 60
"""More than anything here takes."""


@contextmanager
def started(engine: Engine) -> Iterator[Engine]:
    """The engine at work in a thread; closed at the end."""
    engine.open()
    thread = threading.Thread(target=engine.run)
    thread.start()
    try:
        yield engine
    finally:
        engine.close()
        thread.join(SECONDS)
        assert not thread.is_alive()


# --- cancelling -----------------------------------------------------------------------------------


def test_cancelling_frees_the_place_within_two_steps(right: Right) -> None:
    engine = engine_of(right.checkpoint, Limits(running=1))
    first, told = ask(engine, 0)
    second, told_second = ask(engine, 3)
    for _ in range(3):
        engine.step()
    engine.cancel(first)
    engine.step()
    assert told.reason == "cancelled" and told.tokens == right.tokens(0)[:3]
    assert engine.scheduler.running == [second]
    run_out(engine)
    assert told_second.tokens == right.tokens(3)


def test_cancelling_in_the_line_is_told_at_once_and_leaves_no_gap(right: Right) -> None:
    engine = engine_of(right.checkpoint, Limits(running=1))
    asked = [ask(engine, 7) for _ in range(3)]
    engine.step()
    engine.cancel(asked[1][0])
    engine.step()
    assert asked[1][1].reason == "cancelled" and asked[1][1].tokens == []
    assert engine.place(asked[2][0]) == 0 and engine.waiting == 1


def test_cancelling_what_has_ended_changes_nothing(right: Right) -> None:
    engine = engine_of(right.checkpoint)
    request, told = ask(engine, 7)
    run_out(engine)
    engine.cancel(request)
    engine.step()
    assert told.reason != "cancelled" and told.tokens == right.tokens(7)


def test_a_cancelled_answer_leaves_what_it_computed(right: Right) -> None:
    engine = engine_of(right.checkpoint)
    request, _ = ask(engine, 3)
    for _ in range(4):
        engine.step()
    engine.cancel(request)
    engine.step()
    again, told = ask(engine, 3)
    run_out(engine)
    assert again.reused == again.prompt_tokens - 1 and told.tokens == right.tokens(3)


# --- the line and the figures ---------------------------------------------------------------------


def test_places_are_counted_from_those_in_work(right: Right) -> None:
    engine = engine_of(right.checkpoint, Limits(running=2))
    asked = [ask(engine, 7)[0] for _ in range(5)]
    assert (engine.running, engine.waiting) == (0, 5)
    assert [engine.place(request) for request in asked] == [0, 1, 2, 3, 4]
    engine.step()
    assert (engine.running, engine.waiting) == (2, 3)
    assert [engine.place(request) for request in asked] == [None, None, 0, 1, 2]
    run_out(engine)
    assert [engine.place(request) for request in asked] == [None] * 5


def test_waiting_takes_longer_further_back_and_nothing_where_there_is_room(right: Right) -> None:
    engine = engine_of(right.checkpoint, Limits(running=2))
    assert engine.wait_seconds(0) == 0
    ask(engine, 7)
    run_out(engine)
    ask(engine, 7)
    ask(engine, 7)
    engine.step()
    times = [engine.wait_seconds(place) or 0.0 for place in range(4)]
    assert times[0] > 0 and times == sorted(set(times))
    assert times[3] == pytest.approx(2 * times[1]), "two at a time"


def test_the_wait_is_judged_by_the_last_answers(right: Right) -> None:
    engine = engine_of(right.checkpoint, Limits(running=1))
    assert engine.wait_seconds(3) is None, "no answer has been written yet"
    began = time.perf_counter()
    for _ in range(20):
        ask(engine, 7, SamplingParams(max_tokens=1))
    run_out(engine)
    seconds = engine.wait_seconds(3)
    assert seconds and seconds < time.perf_counter() - began, "four take less than twenty took"


def test_what_is_done_is_counted(right: Right) -> None:
    engine = engine_of(right.checkpoint, Limits(8, rows_alone=512))
    first, _ = ask(engine, 0)
    steps = run_out(engine)
    second, _ = ask(engine, 2)
    steps += run_out(engine)
    figures = engine.figures
    assert (figures.requests, figures.failed_steps) == (2, 0)
    assert figures.reused_tokens == second.reused > 0 == first.reused
    computed = first.prompt_tokens + second.prompt_tokens - second.reused
    assert figures.prompt_tokens == computed
    assert figures.answer_tokens == len(right.tokens(0)) + len(right.tokens(2))
    assert figures.steps == steps == figures.answer_tokens
    assert 0 < figures.model_seconds <= figures.step_seconds


def test_steps_without_work_are_not_counted(right: Right) -> None:
    engine = engine_of(right.checkpoint)
    for _ in range(3):
        engine.step()
    assert engine.figures.steps == 0


def test_a_step_is_as_large_as_the_limits_allow(
    right: Right, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(right.checkpoint, Limits(8, rows_alone=20, rows_beside=6))
    rows, compute = list[int](), engine._runner.run

    def run(plan: Plan) -> Tensor:
        rows.append(rows_of(plan))
        return compute(plan)

    monkeypatch.setattr(engine._runner, "run", run)
    ask(engine, 7)  # 8 tokens
    engine.step()
    ask(engine, 9)  # 32 tokens, the first of which are the same
    run_out(engine)
    assert rows[0] == 8 and max(rows[1:]) == 7


def test_the_head_is_computed_only_where_a_token_is_chosen(
    right: Right, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(right.checkpoint, Limits(8, rows_alone=10, rows_beside=10))
    rows, compute = list[int](), Decoder.logits

    def logits(self: Decoder, last: Tensor) -> Tensor:
        rows.append(len(last))
        return compute(self, last)

    monkeypatch.setattr(Decoder, "logits", logits)
    ask(engine, 9)  # 32 tokens
    for _ in range(5):
        engine.step()
    assert rows == [1, 1]


def test_the_cache_is_as_large_as_it_was_asked_for(right: Right) -> None:
    engine = engine_of(right.checkpoint, blocks=20)
    assert engine.capacity == 20 * BLOCK
    layers = [engine._runner._cache.layer(index) for index in range(2)]
    assert engine.cache_bytes == sum(layer.nbytes for layer in layers)


def test_no_more_cache_is_taken_than_can_be_of_use(right: Right) -> None:
    engine = engine_of(right.checkpoint, Limits(running=2), blocks=100_000)
    assert engine.capacity == 4 * 2 * right.checkpoint.context_length


def test_an_engine_works_with_what_it_finds_good_itself(right: Right) -> None:
    limits = default_limits(right.checkpoint.device)
    assert limits.rows_beside < limits.rows_alone


# --- a thread of its own --------------------------------------------------------------------------


def test_many_threads_ask_at_once(right: Right) -> None:
    with started(engine_of(right.checkpoint, Limits(4, 64, 16), blocks=16)) as engine:
        asked: list[tuple[int, Told]] = []

        def visitor(number: int) -> None:
            for turn in range(3):
                talk = (3 * number + turn) % len(TALKS)
                asked.append((talk, ask(engine, talk)[1]))
                if turn == 1:
                    asked[-1][1].over.wait(SECONDS)

        visitors = [threading.Thread(target=visitor, args=(number,)) for number in range(6)]
        for thread in visitors:
            thread.start()
        for thread in visitors:
            thread.join(SECONDS)
        assert all(told.over.wait(SECONDS) for _, told in asked)
    assert len(asked) == 18
    assert all(told.tokens == right.tokens(talk) for talk, told in asked)
    assert engine.scheduler.pool.used == 0


def test_closing_cuts_what_is_left(right: Right) -> None:
    engine = engine_of(right.checkpoint, Limits(running=2))
    with started(engine):
        first = Told()
        told = [first, *[Told() for _ in range(5)]]
        for each in told:
            engine.submit(TALKS[7], SamplingParams(max_tokens=200), each)
    assert all(each.over.is_set() for each in told)
    assert {each.reason for each in told} <= {"cancelled", "length", "stop"}
    assert "cancelled" in {each.reason for each in told}
    assert (engine.running, engine.waiting, engine.scheduler.pool.used) == (0, 0, 0)


def test_an_engine_can_be_opened_again(right: Right) -> None:
    engine = engine_of(right.checkpoint)
    for talk in (0, 2):
        with started(engine):
            _, told = ask(engine, talk)
            assert told.over.wait(SECONDS)
        assert told.tokens == right.tokens(talk)


def test_cancelling_from_another_thread(right: Right) -> None:
    with started(engine_of(right.checkpoint)) as engine:
        request, told = ask(engine, 7, SamplingParams(max_tokens=240))
        engine.cancel(request)
        assert told.over.wait(SECONDS)
        _, other = ask(engine, 0)
        assert other.over.wait(SECONDS)
    assert told.reason == "cancelled" and other.tokens == right.tokens(0)
    assert len(other.tokens) <= LONGEST
