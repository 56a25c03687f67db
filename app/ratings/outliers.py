"""Voters whose votes stand out. Their votes are kept, marked, and not counted in the ratings.

Both rules look at a voter's own votes on one kind of battle, and ask how likely an honest voter is
to look like that by chance; below :data:`CHANCE` the voter is marked. One honest voter in 100,000
is marked wrongly, so the share of votes that are not counted is shown beside every leaderboard.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from app.ratings.columns import Bools, Columns, Ints

CHANCE = 1e-5
LEAST_VOTES = 20
"""Votes that chose a side, below which a voter is never marked as contrary."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Marked:
    """A marked voter, by its number in the columns."""

    voter: int
    mark: str
    votes: int
    left: int
    right: int
    p: float


def marked_voters(columns: Columns, chosen: Bools) -> list[Marked]:
    """The marked voters among the ``chosen`` votes.

    ``one_side``: left and right are so unequal as sides drawn by chance are not (exact binomial
    test). ``contrary``: the voter chooses the model that the other votes put below, far too often
    (normal approximation of the sum of the pairs' shares).
    """
    decided = chosen & (columns.choice < 2)
    voter = columns.voter[decided]
    if not len(voter):
        return []
    count = int(columns.voter.max()) + 1
    votes = np.bincount(columns.voter[chosen], minlength=count)
    left = np.bincount(voter[columns.choice[decided] == 0], minlength=count)
    sides = np.bincount(voter, minlength=count)
    right = sides - left
    tail = stats.binom.sf(np.maximum(left, right) - 1, np.maximum(sides, 1), 0.5)
    one_side = np.where(sides > 0, np.minimum(1.0, 2 * tail), 1.0)
    contrary = np.where(sides >= LEAST_VOTES, _contrary(columns, decided, count), 1.0)
    found = []
    for number in np.flatnonzero(np.minimum(one_side, contrary) < CHANCE):
        is_one_side = one_side[number] < CHANCE
        found.append(
            Marked(
                voter=int(number),
                mark="one_side" if is_one_side else "contrary",
                votes=int(votes[number]),
                left=int(left[number]),
                right=int(right[number]),
                p=float(one_side[number] if is_one_side else contrary[number]),
            )
        )
    return found


def _contrary(columns: Columns, decided: Bools, count: int) -> Floats:
    """For each voter, the probability to agree so rarely with what all others say of the pairs."""
    left, right = columns.left[decided], columns.right[decided]
    voter = columns.voter[decided]
    first_won = (columns.choice[decided] == 0) == (left < right)
    size = int(max(left.max(), right.max())) + 1
    pair = np.minimum(left, right) * size + np.maximum(left, right)
    _, pair = np.unique(pair, return_inverse=True)
    total, won = _sums(pair, first_won)
    # What the voter's own votes add to the pair is taken out: others are asked.
    own = voter * (int(pair.max()) + 1) + pair
    _, own = np.unique(own, return_inverse=True)
    own_total, own_won = _sums(own, first_won)
    others, others_won = total[pair] - own_total[own], won[pair] - own_won[own]
    share = (others_won + 1) / (others + 2)
    difference = np.bincount(
        voter, weights=np.where(share > 0.5, 1, -1) * (first_won - share), minlength=count
    )
    variance = np.bincount(voter, weights=share * (1 - share), minlength=count)
    return np.asarray(stats.norm.cdf(difference / np.sqrt(np.maximum(variance, 1e-9))), np.float64)


def _sums(group: Ints, won: Bools) -> tuple[Floats, Floats]:
    return np.bincount(group).astype(np.float64), np.bincount(group, won).astype(np.float64)
