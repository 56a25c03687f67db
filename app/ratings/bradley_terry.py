"""Bradley-Terry strengths with ties, a prior, and bootstrap intervals.

The model: A beats B with probability s_A / (s_A + s_B) (Bradley & Terry 1952,
https://doi.org/10.2307/2334029); a tie is half a win of each. The prior: every pair has one virtual
vote, a third of it a win, a third a loss, a third a tie, so that the strength of a competitor that
has won or lost everything stays finite. The fit is evalica's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import evalica
import numpy as np
import numpy.typing as npt

PRIOR = 1 / 3
"""Virtual votes of each pair for each outcome: win, loss, tie."""
SCALE = 400 / math.log(10)
"""Rating points of one unit of log-strength: 400 points are ten times the odds, as in chess."""
MEAN = 1000.0
TOLERANCE, LIMIT = 1e-7, 10_000
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ratings:
    """Of each competitor: rating, and the ends of its 95% interval. Their mean rating is 1000."""

    rating: Floats
    low: Floats
    high: Floats


def ratings(wins: Floats, ties: Floats, rounds: int, seed: int) -> Ratings:
    """Ratings of n competitors from (n, n) counts: ``wins[i, j]`` of i against j, and ``ties``
    (symmetric).

    The interval is the Bayesian bootstrap's (Rubin 1981, https://doi.org/10.1214/aos/1176345338):
    in each of ``rounds`` rounds every vote, a virtual one too, weighs as much as an exponential
    draw says, so that the weight of a cell (pair, outcome) with n votes is one gamma draw of shape
    n, however many votes there are. Unlike votes drawn with replacement, this also leaves an
    undefeated competitor the chance of having lost.
    """
    number = len(wins)
    first, second = np.triu_indices(number, 1)
    cells = np.stack([wins[first, second], wins[second, first], ties[first, second]])
    fit = _Fit(number, first, second)
    rating = fit.ratings(cells + PRIOR)
    if not rounds or not cells.sum() or number < 2:
        return Ratings(rating, rating.copy(), rating.copy())
    draws = np.random.default_rng(seed).gamma(cells + PRIOR, size=(rounds, *cells.shape))
    samples = np.stack([fit.ratings(draw) for draw in draws])
    # "weibull": of B draws, the k-th and the (B + 1 - k)-th hold 1 - 2k / (B + 1) between them.
    low, high = np.quantile(samples, [0.025, 0.975], axis=0, method="weibull")
    return Ratings(rating, np.minimum(low, rating), np.maximum(high, rating))


class _Fit:
    """Fits many tables of the same competitors."""

    def __init__(self, number: int, first: npt.NDArray[np.intp], second: npt.NDArray[np.intp]):
        self._number = number
        self._first = [*first.tolist()] * 3
        self._second = [*second.tolist()] * 3
        pairs = len(first)
        self._winners = [
            *[evalica.Winner.X] * pairs,
            *[evalica.Winner.Y] * pairs,
            *[evalica.Winner.Draw] * pairs,
        ]

    def ratings(self, cells: npt.NDArray[np.floating | np.integer]) -> Floats:
        """``cells``: (3, pairs) weights of first wins, second wins, ties."""
        if self._number < 2:
            return np.full(self._number, MEAN)
        result = evalica.bradley_terry(
            self._first,
            self._second,
            self._winners,
            weights=cells.ravel(),
            tolerance=TOLERANCE,
            limit=LIMIT,
        )
        scores = result.scores.to_dict()
        strengths = np.log([scores[competitor] for competitor in range(self._number)])
        return np.asarray(MEAN + SCALE * (strengths - strengths.mean()), np.float64)
