"""Limits in any minute, with a clock that the test moves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from training.endpoint.pace import Pace, Turn


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def went_out(pace: Pace, clock: Clock, sizes: list[int]) -> list[tuple[float, int]]:
    """When each request went out, if each waits for as long as it is told."""
    times = []
    for size in sizes:
        while not isinstance(turn := pace.take(size), Turn):
            assert turn > 0
            clock.time += turn
        times.append((clock.time, size))
        clock.time += 0.25
    return times


@given(
    st.integers(1, 5), st.integers(10, 40), st.lists(st.integers(1, 60), min_size=1, max_size=30)
)
def test_no_minute_has_more_than_the_limits(number: int, tokens: int, sizes: list[int]) -> None:
    clock = Clock()
    times = went_out(Pace(number, tokens, clock), clock, sizes)
    for start, _ in times:
        inside = [size for at, size in times if start <= at < start + 60]
        assert len(inside) <= number
        assert sum(inside) <= tokens or len(inside) == 1


def test_without_limits_nothing_waits() -> None:
    clock = Clock()
    times = went_out(Pace(0, 0, clock), clock, [10**9] * 5)
    assert [at for at, _ in times] == [0, 0.25, 0.5, 0.75, 1.0]


def test_what_a_request_did_not_use_is_free_for_the_next() -> None:
    clock = Clock()
    pace = Pace(0, 100, clock)
    turn = pace.take(90)
    assert isinstance(turn, Turn) and pace.take(50) == 60
    pace.settle(turn, 20)
    assert isinstance(pace.take(50), Turn)


def test_a_pause_holds_everything() -> None:
    clock = Clock()
    pace = Pace(0, 0, clock)
    pace.pause(7)
    pace.pause(3)
    assert pace.take(1) == 7
    clock.time = 7
    assert isinstance(pace.take(1), Turn)
