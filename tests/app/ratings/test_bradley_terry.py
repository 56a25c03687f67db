"""Ratings against closed forms, and against simulated voters whose strengths are known."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from app.ratings.bradley_terry import MEAN, PRIOR, SCALE, ratings

Floats = npt.NDArray[np.float64]


def table(number: int, **pairs: float) -> Floats:
    """A table of counts: ``w01=3`` is 3 of the first against the second."""
    counts = np.zeros((number, number))
    for name, value in pairs.items():
        counts[int(name[1]), int(name[2])] = value
    return counts


def test_two_competitors_have_the_closed_form() -> None:
    ties = table(2, t01=5, t10=5)
    found = ratings(table(2, w01=30, w10=10), ties, rounds=0, seed=0)
    half = (5 + PRIOR) / 2 + PRIOR
    expected = 400 * math.log10((30 + half) / (10 + half))
    assert found.rating[0] - found.rating[1] == pytest.approx(expected, abs=1e-3)
    assert found.rating.mean() == pytest.approx(MEAN)


def test_a_chain_of_three_has_the_closed_form() -> None:
    """Three competitors whose pairs all fit one set of strengths: 1, 2, 4."""
    wins = table(3, w01=100, w10=200, w12=100, w21=200, w02=60, w20=240)
    found = ratings(wins * 100, table(3), rounds=0, seed=0)
    assert np.diff(found.rating) == pytest.approx([400 * math.log10(2)] * 2, abs=0.2)


def test_an_undefeated_competitor_stays_finite() -> None:
    found = ratings(table(2, w01=20), table(2), rounds=100, seed=0)
    expected = 400 * math.log10((20 + 1.5 * PRIOR) / (1.5 * PRIOR))
    assert found.rating[0] - found.rating[1] == pytest.approx(expected, abs=0.1)
    assert np.isfinite(found.high).all()
    assert found.low[0] < found.rating[0] - 50, (
        "twenty wins in a row do not prove that it never loses"
    )


def test_competitors_that_never_met_are_held_together_by_the_prior() -> None:
    found = ratings(table(4, w01=9, w10=3, w23=9, w32=3), table(4), rounds=20, seed=1)
    assert np.isfinite(found.rating).all() and found.rating[0] == pytest.approx(found.rating[2])


def test_the_same_seed_gives_the_same_interval_and_more_votes_a_narrower_one() -> None:
    wins, ties = table(2, w01=30, w10=20), table(2, t01=10, t10=10)
    first, again = (ratings(wins, ties, rounds=200, seed=3) for _ in range(2))
    assert (first.low == again.low).all() and (first.high == again.high).all()
    many = ratings(wins * 100, ties * 100, rounds=200, seed=3)
    ratio = (first.high - first.low) / (many.high - many.low)
    assert ratio == pytest.approx([10, 10], rel=0.2)


def test_nobody_and_one_alone() -> None:
    assert len(ratings(table(0), table(0), rounds=5, seed=0).rating) == 0
    assert ratings(table(1), table(1), rounds=5, seed=0).rating.tolist() == [MEAN]


STRENGTHS = np.array([-0.9, -0.3, 0.0, 0.4, 0.8])


def draw(rng: np.random.Generator, votes: int) -> tuple[Floats, Floats]:
    """Wins and ties of simulated voters who look twice; see ``tests.app.ratings.votes``."""
    number = len(STRENGTHS)
    first, second = np.triu_indices(number, 1)
    chance = 1 / (1 + np.exp(STRENGTHS[second] - STRENGTHS[first]))
    cells = np.stack([chance**2, (1 - chance) ** 2, 2 * chance * (1 - chance)]) / len(first)
    drawn = rng.multinomial(votes, cells.ravel()).reshape(cells.shape)
    wins, ties = np.zeros((number, number)), np.zeros((number, number))
    wins[first, second], wins[second, first] = drawn[0], drawn[1]
    ties[first, second] = ties[second, first] = drawn[2]
    return wins, ties


def test_true_strengths_are_inside_the_intervals() -> None:
    """Each competitor's true rating in at least 93% of 200 seeded runs, by its 95% interval."""
    truth = MEAN + SCALE * (STRENGTHS - STRENGTHS.mean())
    inside = np.zeros(len(STRENGTHS))
    for run in range(200):
        wins, ties = draw(np.random.default_rng(run), 1000)
        found = ratings(wins, ties, rounds=79, seed=run)
        inside += (found.low <= truth) & (truth <= found.high)
    print(f"coverage of each: {inside / 200}, mean {inside.mean() / 200:.3f}")
    assert (inside / 200 >= 0.93).all()
