"""The scheduler under any arrivals and failures: every request ends with its whole answer."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.llava_core.engine.requests import ANSWER, Light, Loop

PROMPTS = st.builds(
    lambda alike, tail: [0] * alike + tail,
    st.integers(0, 28),
    st.lists(st.integers(0, 1), min_size=1, max_size=3),
)
ARRIVALS = st.lists(
    st.tuples(st.integers(0, 6), PROMPTS, st.integers(1, 20)),  # the first: steps until it arrives
    min_size=1,
    max_size=12,
)


@given(
    ARRIVALS,
    st.integers(0, 9),
    st.integers(1, 4),
    st.integers(1, 9),
    st.sampled_from([0, 0, 0.1, 0.3]),
    st.randoms(use_true_random=False),
)
@settings(max_examples=150, deadline=None)
def test_nobody_starves(
    arrivals: list[tuple[int, list[int], int]],
    spare: int,
    running: int,
    rows: int,
    failing: float,
    chance: random.Random,
) -> None:
    """Also with failing steps, and where the cache is just enough for the longest one."""
    longest = max(len(tokens) + wants for _, tokens, wants in arrivals)
    loop = Loop(
        blocks=-(-longest // 4) + spare, running=running, rows_alone=2 * rows, rows_beside=rows
    )
    requests = [Light(tokens, wants) for _, tokens, wants in arrivals]
    for (pause, _, _), request in zip(arrivals, requests, strict=True):
        for _ in range(pause):
            step_or_fail(loop, failing, chance)
        loop.add(request)
    for _ in range(3000):
        if len(loop.finished) == len(requests):
            break
        step_or_fail(loop, failing, chance)
    assert set(loop.finished) == set(requests)
    assert all(request.said == [*range(ANSWER, ANSWER + request.wants)] for request in requests)
    assert loop.scheduler.pool.used == 0


def step_or_fail(loop: Loop, failing: float, chance: random.Random) -> None:
    """A step in which every answer gets its token, unless it is withdrawn."""
    if failing and chance.random() < failing:
        loop.scheduler.withdraw(loop.plan().plan)
        loop.check()
        return
    before = list(loop.running)
    answering = [request for request in before if request.answers]
    stepped_back = loop.scheduler.preemptions
    step = loop.step()
    limits = loop.scheduler.limits
    if loop.scheduler.preemptions == stepped_back:
        assert all(step.rows[request] == 1 for request in answering)
    still = [request for request in answering if step.rows.get(request) == 1]
    assert answering[:1] == still[:1]
    assert not before or before[0] in step.running, "the eldest never steps back"
    prompts = sum(rows for request, rows in step.rows.items() if request not in still)
    assert prompts <= (limits.rows_beside if still else limits.rows_alone)
