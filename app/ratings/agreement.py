"""How far votes agree that judge the same thing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from app.leaderboard_protocol import Agreement
from app.ratings.columns import Bools, Columns, Ints

SAYS = 3
"""First model wins, second wins, neither: the categories that are compared."""


def voters_agreement(columns: Columns, chosen: Bools) -> Agreement:
    """Among the ``chosen`` votes: the same question and pictures with the same two models."""
    chosen = chosen & (columns.prompt != 0)
    left, right = columns.left[chosen], columns.right[chosen]
    size = int(columns.right.max(initial=0) + columns.left.max(initial=0)) + 1
    pair = np.minimum(left, right) * size + np.maximum(left, right)
    items = _numbered(np.stack([columns.prompt[chosen], pair], axis=1))
    return agreement(items, says(columns, chosen))


def judge_agreement(columns: Columns, people: Bools, judges: Bools) -> Agreement | None:
    """A person's and a judge's votes on the same battles; None where no judge has voted.

    Each judge is compared with people on its own: two judges that agree say nothing of people.
    """
    if not judges.any():
        return None
    keys, said = [], []
    for judge in np.unique(columns.voter[judges]).tolist():
        of_judge = judges & (columns.voter == judge)
        both = np.intersect1d(columns.battle[people], columns.battle[of_judge])
        chosen = (people | of_judge) & np.isin(columns.battle, both)
        battles = columns.battle[chosen]
        keys.append(np.stack([np.full(len(battles), judge), battles], axis=1))
        said.append(says(columns, chosen))
    return agreement(_numbered(np.concatenate(keys)), np.concatenate(said))


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


def _numbered(keys: Ints) -> Ints:
    """Rows numbered from 0, equal rows alike."""
    if not len(keys):
        return np.zeros(0, np.int64)
    _, numbers = np.unique(keys, axis=0, return_inverse=True)
    return np.asarray(numbers, np.int64).ravel()
