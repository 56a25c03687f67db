"""What goes wrong stays with those it concerns, and the engine goes on."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from llava_core.conversation import Conversation, user
from llava_core.engine.engine import FEWEST_ROWS, MOST_FAILURES, Engine
from llava_core.engine.request import Request
from llava_core.engine.sampling import SamplingParams
from llava_core.engine.scheduler import Limits, Plan
from llava_core.errors import (
    CacheTooSmall,
    ContextError,
    CoreError,
    MemoryShortage,
    NotANumber,
    StepFailed,
)
from tests.llava_core.engine.engines import TALKS, Right, Told, ask, check, engine_of, run_out

OUT_OF_MEMORY = torch.OutOfMemoryError("no room")


def poison(engine: Engine, poisoned: Callable[[Request], bool]) -> None:
    """From now on the logits of some requests are NaN."""
    compute = engine._runner.run

    def run(plan: Plan) -> Tensor:
        logits = compute(plan).clone()
        choosing = [part.request for part in plan.parts if part.chooses]
        logits[[poisoned(request) for request in choosing]] = torch.nan
        return logits

    engine._runner.run = run  # type: ignore[method-assign]


def fail(engine: Engine, fails: Callable[[int], Exception | None]) -> None:
    """From now on a step raises what ``fails`` says of its number, after having been computed."""
    compute, steps = engine._runner.run, iter(range(10**6))

    def run(plan: Plan) -> Tensor:
        logits = compute(plan)
        if error := fails(next(steps)):
            raise error
        return logits

    engine._runner.run = run  # type: ignore[method-assign]


def errors_of(told: list[Told]) -> list[type[CoreError] | None]:
    return [type(each.error) if each.error else None for each in told]


# --- no number ------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 5])
def test_only_the_request_without_numbers_fails(right: Right, at: int) -> None:
    engine = engine_of(right.checkpoint)
    asked = [ask(engine, talk) for talk in (0, 2, 4, 2)]
    victim = asked[1][0]
    poison(engine, lambda each: each is victim and len(each.ids) == each.prompt_tokens + at)
    run_out(engine)
    told = [each for _, each in asked]
    assert errors_of(told) == [None, NotANumber, None, None]
    assert [each.tokens for each in told] == [
        right.tokens(0), right.tokens(2)[:at], right.tokens(4), right.tokens(2)
    ]  # fmt: skip


def test_what_a_failed_request_left_is_not_used_again(right: Right) -> None:
    engine = engine_of(right.checkpoint)
    asked, told = ask(engine, 3)
    poison(engine, lambda each: each is asked)
    run_out(engine)
    assert isinstance(told.error, NotANumber)
    looked_at = engine.features.misses
    again, told = ask(engine, 3)
    run_out(engine)
    assert (again.reused, told.tokens) == (0, right.tokens(3))
    assert engine.features.misses == looked_at + 2, "both pictures are looked at again"


def test_numbers_that_a_failed_request_left_in_the_cache_reach_nobody(right: Right) -> None:
    """Its blocks go to others as they are, full of NaN."""
    engine = engine_of(right.checkpoint, blocks=6)
    asked, _ = ask(engine, 3)
    poison(engine, lambda each: each is asked)
    run_out(engine)
    for layer in range(engine._runner._cache.shape.layers):
        engine._runner._cache.layer(layer).fill_(torch.nan)
    told = [ask(engine, talk)[1] for talk in (3, 0, 7)]
    run_out(engine)
    assert [each.tokens for each in told] == [right.tokens(talk) for talk in (3, 0, 7)]


# --- failing steps --------------------------------------------------------------------------------


def test_a_step_that_fails_ends_its_requests_and_the_next_ones_are_answered(right: Right) -> None:
    engine = engine_of(right.checkpoint, Limits(running=3))
    fail(engine, lambda step: ValueError("a broken weight") if step == 4 else None)
    told = [ask(engine, talk)[1] for talk in (0, 3, 7)]
    late = ask(engine, 2)[1]
    run_out(engine)
    assert errors_of(told) == [StepFailed] * 3
    assert told[0].error and "ValueError" in told[0].error.message
    assert all(each.tokens for each in told), "they had begun"
    assert late.tokens == right.tokens(2) and engine.figures.failed_steps == 1
    _, again = ask(engine, 0)
    run_out(engine)
    assert again.tokens == right.tokens(0)


def test_what_was_computed_before_a_failed_step_is_forgotten(right: Right) -> None:
    engine = engine_of(right.checkpoint)
    fail(engine, lambda step: ValueError() if step == 4 else None)
    ask(engine, 3)
    run_out(engine)
    assert engine.scheduler.pool.remembered == 0 and engine.features.bytes == 0
    again, told = ask(engine, 3)
    run_out(engine)
    assert again.reused == 0 and told.tokens == right.tokens(3)


def test_an_engine_that_fails_again_and_again_gives_up(right: Right) -> None:
    engine = engine_of(right.checkpoint)
    fail(engine, lambda step: ValueError("for good"))
    told = []
    for _ in range(MOST_FAILURES - 1):
        told.append(ask(engine, 0)[1])
        engine.step()
    told.append(ask(engine, 0)[1])
    with pytest.raises(ValueError, match="for good"):
        engine.step()
    assert errors_of(told) == [StepFailed] * MOST_FAILURES


def test_a_step_between_failures_starts_the_count_anew(right: Right) -> None:
    engine = engine_of(right.checkpoint)
    fail(engine, lambda step: None if step % 3 == 2 else ValueError())
    for _ in range(12):
        ask(engine, 7)
        engine.step()
    assert engine.figures.failed_steps == 8


# --- out of memory --------------------------------------------------------------------------------


def test_when_memory_runs_out_steps_shrink_and_every_answer_is_right(any_right: Right) -> None:
    engine = engine_of(any_right.checkpoint, Limits(8, rows_alone=64, rows_beside=32))
    fail(engine, lambda step: OUT_OF_MEMORY if step in (0, 1, 6, 15) else None)
    asked = {talk: ask(engine, talk)[1] for talk in range(len(TALKS))}
    run_out(engine)
    assert engine.figures.failed_steps == 4
    assert {talk: told.tokens for talk, told in asked.items()} == {
        talk: any_right.tokens(talk) for talk in asked
    }
    assert engine.limits.rows_alone == FEWEST_ROWS == engine.limits.rows_beside


def test_memory_that_is_out_for_good_ends_in_an_error_that_says_so(right: Right) -> None:
    engine = engine_of(right.checkpoint, Limits(rows_alone=64))
    fail(engine, lambda step: OUT_OF_MEMORY)
    _, told = ask(engine, 3)
    for _ in range(30):
        if engine.running or engine.waiting:
            engine.step()
    assert isinstance(told.error, MemoryShortage)
    assert engine.scheduler.pool.used == 0


def test_sampled_answers_survive_a_shortage_unchanged(right: Right) -> None:
    params = SamplingParams(temperature=1.0, seed=3, max_tokens=20)
    engine = engine_of(right.checkpoint)
    fail(engine, lambda step: OUT_OF_MEMORY if step in (3, 7) else None)
    told = [ask(engine, talk, params)[1] for talk in (0, 3)]
    run_out(engine)
    assert [each.tokens for each in told] == [right.tokens(talk, params) for talk in (0, 3)]


# --- refused before any work ----------------------------------------------------------------------


def test_a_conversation_longer_than_the_context_is_refused_with_the_numbers(right: Right) -> None:
    engine = engine_of(right.checkpoint)
    long = Conversation((user("star " * 400),))
    needed = "the conversation takes (\\d+) tokens; the model has room for 256"
    with pytest.raises(ContextError, match=needed) as caught:
        engine.submit(long, SamplingParams(), Told())
    assert caught.value.needed > 256 == caught.value.available
    assert engine.waiting == 0 and engine.figures.steps == 0


def test_a_conversation_larger_than_the_cache_is_refused_with_the_numbers(right: Right) -> None:
    engine = engine_of(right.checkpoint, blocks=3)
    needed = right.checkpoint.prepare(TALKS[3]).prompt_tokens + 1
    with pytest.raises(CacheTooSmall, match=f"takes {needed} tokens; .* room for 48"):
        ask(engine, 3)
    assert engine.waiting == 0


def test_an_answer_ends_where_the_cache_ends(right: Right) -> None:
    engine = engine_of(right.checkpoint, blocks=2)
    _, told = ask(engine, 0)
    run_out(engine)
    room = 32 - right.checkpoint.prepare(TALKS[0]).prompt_tokens
    assert told.tokens == right.tokens(0)[:room] and told.reason == "length"


# --- anything -------------------------------------------------------------------------------------


def test_after_many_random_events_nothing_has_leaked(right: Right) -> None:
    chance = random.Random(6)
    engine = engine_of(right.checkpoint, Limits(6, rows_alone=32, rows_beside=8), blocks=14)
    poison(engine, lambda each: chance.random() < 0.02)
    kinds = [OUT_OF_MEMORY, ValueError("broken")]
    fail(engine, lambda step: chance.choice(kinds) if chance.random() < 0.03 else None)
    asked: list[tuple[int, Request, Told]] = []
    for _ in range(400):
        if engine.waiting < 6 and chance.random() < 0.3:
            talk = chance.randrange(len(TALKS))
            asked.append((talk, *ask(engine, talk)))
        if asked and chance.random() < 0.05:
            engine.cancel(chance.choice(asked)[1])
        engine.step()
        check(engine)
    run_out(engine)
    assert all(told.over.is_set() for _, _, told in asked)
    for talk, _, told in asked:
        assert told.tokens == right.tokens(talk)[: len(told.tokens)]
    reasons = {type(told.error) if told.error else told.reason for _, _, told in asked}
    assert reasons >= {NotANumber, StepFailed, "cancelled", "length"}
    assert engine.scheduler.preemptions > 0
