"""How far votes agree that judge the same thing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from app.leaderboard_protocol import Agreement
from app.ratings.columns import Bools, Columns, Ints

SAYS = 3
"""First model wins, second wins, neither: the categories that are compared."""
SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio: multiples of it lie far apart."""


def voters_agreement(columns: Columns, chosen: Bools) -> Agreement:
    """Among the ``chosen`` votes: the same question and pictures with the same two models."""
    chosen = chosen & (columns.prompt != 0)
    left, right = columns.left[chosen], columns.right[chosen]
    size = int(columns.right.max(initial=0) + columns.left.max(initial=0)) + 1
    pair = np.minimum(left, right) * size + np.maximum(left, right)
    return agreement(_numbered(columns.prompt[chosen], pair), says(columns, chosen))


def judge_agreement(columns: Columns, people: Bools, judges: Bools) -> Agreement | None:
    """A person's and a judge's votes on the same battles; None where no judge has voted.

    Each judge is compared with people on its own: two judges that agree say nothing of people. A
    battle has one person, so two votes on it are that person's and the judge's.
    """
    if not judges.any():
        return None
    of_battles, of_judges, said = [], [], []
    for judge in np.unique(columns.voter[judges]).tolist():
        of_judge = judges & (columns.voter == judge)
        chosen = people | of_judge
        of_battles.append(columns.battle[chosen])
        of_judges.append(np.full(len(of_battles[-1]), judge))
        said.append(says(columns, chosen))
    items = _numbered(np.concatenate(of_battles), np.concatenate(of_judges))
    return agreement(items, np.concatenate(said))


def says(columns: Columns, chosen: Bools) -> Ints:
    """What each vote says of the pair, whichever stood left: first wins, second wins, neither."""
    choice = columns.choice[chosen]
    first_left = columns.left[chosen] <= columns.right[chosen]
    first_won = (choice == 0) == first_left
    return np.where(choice >= 2, 2, np.where(first_won, 0, 1)).astype(np.int64)


def agreement(items: Ints, said: Ints) -> Agreement:
    """Simple agreement and Krippendorff's alpha (nominal) over items numbered from 0.

    alpha = 1 - observed / expected disagreement, from the matrix of coincidences, in which an item
    with m votes counts each ordered pair of them 1 / (m - 1) times (Krippendorff, Computing
    Krippendorff's Alpha-Reliability, 2011).
    """
    number = int(items.max(initial=-1)) + 1
    counts = np.bincount(items * SAYS + said, minlength=number * SAYS).reshape(number, SAYS)
    counts = counts[counts.sum(axis=1) >= 2].astype(np.float64)
    if not len(counts):
        return Agreement(questions=0, pairs=0, share=None, alpha=None)
    votes = counts.sum(axis=1)
    pairs = float((votes * (votes - 1) / 2).sum())
    same = float((counts * (counts - 1) / 2).sum())
    weighted = counts / (votes - 1)[:, None]
    coincidences = weighted.T @ counts - np.diag(weighted.sum(axis=0))
    return Agreement(
        questions=len(counts),
        pairs=int(pairs),
        share=same / pairs,
        alpha=_alpha(coincidences),
    )


def _alpha(coincidences: npt.NDArray[np.float64]) -> float | None:
    totals = coincidences.sum(axis=0)
    number = totals.sum()
    expected = (number**2 - (totals**2).sum()) / (number - 1)
    if expected <= 0:
        return None  # all say the same: there is no disagreement that chance could have made
    observed = number - np.trace(coincidences)
    return float(1 - observed / expected)


def _numbered(texts: Ints, groups: Ints) -> Ints:
    """Rows numbered from 0, equal rows alike. ``texts`` are 63 bits of hashes, ``groups`` small."""
    if not len(texts):
        return np.zeros(0, np.int64)
    # One key of 64 bits: many times faster to sort than rows of two, and as unlikely to collide.
    keys = texts.astype(np.uint64) + groups.astype(np.uint64) * SPREAD
    _, numbers = np.unique(keys, return_inverse=True)
    return np.asarray(numbers, np.int64).ravel()
