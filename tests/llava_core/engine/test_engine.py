"""The engine answers as plain generation does, whatever else it does at the same time."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llava_core.engine.blocks import Owned
from llava_core.engine.engine import Engine
from llava_core.engine.request import Request
from llava_core.engine.sampling import SamplingParams
from llava_core.engine.scheduler import Limits
from llava_core.errors import CacheTooSmall
from tests.llava_core.engine.engines import (
    LONGEST,
    TALKS,
    Right,
    Told,
    ask,
    check,
    engine_of,
    run_out,
)

SAMPLED = SamplingParams(temperature=1.0, top_p=0.95, seed=11, max_tokens=LONGEST)


def mixed_session(engine: Engine, right: Right, seed: int, number: int = 24) -> None:
    """Talks join and leave at random steps; every answer is right as far as it goes."""
    chance, asked = random.Random(seed), list[tuple[int, Request, Told]]()
    while len(asked) < number or engine.running or engine.waiting:
        if len(asked) < number and chance.random() < 0.4:
            talk = chance.randrange(len(TALKS))
            asked.append((talk, *ask(engine, talk)))
        if asked and chance.random() < 0.05:
            engine.cancel(chance.choice(asked)[1])
        engine.step()
        check(engine)
    for talk, _, told in asked:
        wanted = right.tokens(talk)
        assert told.error is None
        assert told.tokens == (wanted[: len(told.tokens)] if told.reason == "cancelled" else wanted)
    assert engine.scheduler.pool.used == 0
    assert sum(told.reason != "cancelled" for _, _, told in asked) > number / 2


# --- the same answers -----------------------------------------------------------------------------


def test_alone_every_talk_is_answered_as_by_plain_generation(any_right: Right) -> None:
    engine = engine_of(any_right.checkpoint)
    for talk in range(len(TALKS)):
        _, told = ask(engine, talk)
        run_out(engine)
        pieces = any_right.pieces(talk)
        assert told.tokens == any_right.tokens(talk)
        assert told.text == "".join(piece.text for piece in pieces)
        assert told.reason == pieces[-1].finish_reason


def test_eight_at_once_with_others_joining_and_leaving(any_right: Right) -> None:
    engine = engine_of(any_right.checkpoint, Limits(running=8))
    mixed_session(engine, any_right, seed=1)
    assert engine.figures.reused_tokens > 100
    assert engine.features.hits > 0


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_prompts_may_be_computed_in_chunks_of_any_size(right: Right, rows: int) -> None:
    engine = engine_of(right.checkpoint, Limits(8, rows_alone=rows, rows_beside=rows))
    mixed_session(engine, right, seed=2)


def test_without_a_shared_beginning_the_answers_are_the_same(
    right: Right, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(right.checkpoint)
    monkeypatch.setattr(engine.scheduler.pool, "match", lambda keys: (Owned(), 0, None))
    mixed_session(engine, right, seed=3)
    assert engine.figures.reused_tokens == 0


def test_requests_that_step_back_answer_the_same(any_right: Right) -> None:
    check_stepping_back(any_right, blocks=9)


@pytest.mark.parametrize("blocks", [12, 20])
def test_they_do_so_in_caches_of_other_sizes(right: Right, blocks: int) -> None:
    check_stepping_back(right, blocks)


def check_stepping_back(right: Right, blocks: int) -> None:
    engine = engine_of(right.checkpoint, Limits(8, rows_alone=64, rows_beside=16), blocks)
    assert engine.scheduler.pool.number == blocks
    mixed_session(engine, right, seed=4)
    assert engine.scheduler.preemptions > 0


def test_the_same_talk_many_times_at_once(right: Right) -> None:
    engine = engine_of(right.checkpoint, blocks=20)
    asked = [ask(engine, 3)[1] for _ in range(8)]
    run_out(engine)
    assert all(told.tokens == right.tokens(3) for told in asked)
    assert engine.features.misses == 2, "each of the two pictures is looked at once"


def test_a_follow_up_uses_what_the_first_answer_left(right: Right) -> None:
    engine = engine_of(right.checkpoint)
    ask(engine, 0)
    run_out(engine)
    request, told = ask(engine, 2)
    run_out(engine)
    prompt = right.checkpoint.prepare(TALKS[0]).prompt_tokens
    assert request.reused >= prompt > 16 and told.tokens == right.tokens(2)
    assert engine.features.misses == 1


def test_features_need_not_be_kept(right: Right) -> None:
    engine = engine_of(right.checkpoint, Limits(8, rows_alone=5, rows_beside=5), features=0)
    mixed_session(engine, right, seed=5, number=10)


# --- sampling -------------------------------------------------------------------------------------


def test_a_seed_gives_the_same_answer_whatever_else_runs(right: Right) -> None:
    wanted = right.tokens(4, SAMPLED)
    assert wanted != right.tokens(4)
    alone, busy = engine_of(right.checkpoint), engine_of(right.checkpoint, Limits(4, 7, 7), 12)
    _, told_alone = ask(alone, 4, SAMPLED)
    run_out(alone)
    others = [ask(busy, talk)[1] for talk in (0, 4)]
    _, told = ask(busy, 4, SAMPLED)
    others += [ask(busy, talk)[1] for talk in (4, 2)]
    run_out(busy)
    assert told_alone.tokens == told.tokens == wanted
    assert [other.tokens for other in others] == [right.tokens(talk) for talk in (0, 4, 4, 2)]


def test_a_repetition_penalty_sees_what_plain_generation_sees(right: Right) -> None:
    params = SamplingParams(repetition_penalty=1.4, max_tokens=LONGEST, logprobs=2)
    engine = engine_of(right.checkpoint, Limits(8, rows_alone=16, rows_beside=4), blocks=12)
    asked = {talk: ask(engine, talk, params)[1] for talk in (0, 3, 7)}
    run_out(engine)
    for talk, told in asked.items():
        assert told.tokens == right.tokens(talk, params)
        ours = [piece.choice.logprob for piece in told.pieces if piece.choice]
        theirs = [piece.choice.logprob for piece in right.pieces(talk, params) if piece.choice]
        assert ours == pytest.approx(theirs, abs=1e-4)


def test_a_picture_is_not_among_the_tokens_that_were_seen(right: Right) -> None:
    engine = engine_of(right.checkpoint)
    request, _ = ask(engine, 0)
    image = right.checkpoint.renderer.image_token_id
    assert image in request.ids and request.seen == set(request.ids) - {image}
    engine.step()
    assert request.seen == set(request.ids[: request.prompt_tokens]) - {image} | {request.ids[-1]}


def test_stop_strings_and_short_answers_end_where_they_should(right: Right) -> None:
    engine = engine_of(right.checkpoint)
    whole = "".join(piece.text for piece in right.pieces(0))
    stop = SamplingParams(max_tokens=LONGEST, stop=(whole[4:6],))
    _, stopped = ask(engine, 0, stop)
    _, short = ask(engine, 0, SamplingParams(max_tokens=1))
    run_out(engine)
    assert (stopped.text, stopped.reason) == (whole[: whole.find(whole[4:6])], "stop")
    assert (short.tokens, short.reason) == (right.tokens(0)[:1], "length")


# --- anything -------------------------------------------------------------------------------------

ASKED = st.tuples(
    st.integers(0, 4),  # steps before it arrives
    st.integers(0, len(TALKS) - 1),
    st.integers(1, LONGEST),  # tokens
    st.sampled_from([None, None, None, 1, 3, 12]),  # steps until it is cancelled
)


@given(
    st.lists(ASKED, min_size=1, max_size=10),
    st.integers(5, 24),
    st.builds(Limits, st.integers(1, 8), st.integers(1, 80), st.integers(1, 20)),
)
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_arrivals_cancellations_caches_and_limits(
    right: Right, asked: list[tuple[int, int, int, int | None]], blocks: int, limits: Limits
) -> None:
    engine = engine_of(right.checkpoint, limits, blocks)
    open_requests: list[tuple[int, int, Request, Told]] = []
    cancelling: list[tuple[int, Request]] = []
    now = 0
    for pause, talk, tokens, cancel in asked:
        for _ in range(pause):
            now = step(engine, cancelling, now)
        params = SamplingParams(max_tokens=tokens)
        needed = right.checkpoint.prepare(TALKS[talk]).prompt_tokens + 1
        if needed > engine.capacity:
            with pytest.raises(CacheTooSmall):
                ask(engine, talk, params)
            continue
        request, told = ask(engine, talk, params)
        open_requests.append((talk, min(tokens, engine.capacity - needed + 1), request, told))
        cancelling += [(now + cancel, request)] if cancel else []
    while engine.running or engine.waiting:
        now = step(engine, cancelling, now)
        assert now < 5000
    for talk, most, request, told in open_requests:
        wanted = right.tokens(talk)[:most]
        if told.reason == "cancelled":
            assert request.cancelled
            wanted = wanted[: len(told.tokens)]
        assert told.tokens == wanted
    assert engine.scheduler.pool.used == 0


def step(engine: Engine, cancelling: list[tuple[int, Request]], now: int) -> int:
    """One step, after cancelling what is due."""
    for when, request in cancelling:
        if when <= now:
            engine.cancel(request)
    engine.step()
    check(engine)
    return now + 1
