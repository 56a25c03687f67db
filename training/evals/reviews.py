"""A judge's reviews: what they say in sum. Reported as in the paper, with what it leaves out.

A review is ``{"id", "question_id", "answer1_id", "answer2_id", "category", "content", "tuple"}``
(https://github.com/haotian-liu/LLaVA, llava/eval); answer 1 is the reference, answer 2 the
candidate. Two scores below 0 or none at all are a reply that could not be read: it is left out and
counted, never averaged. Score: 100 x mean(candidate) / mean(reference).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from training.evals.rows import Row, read_rows

LOWEST, HIGHEST = 1.0, 10.0
RESAMPLES = 2000
_FIRST_LINE = re.compile(
    r"\D*?(?P<one>[-+]?\d+(?:\.\d+)?)(?:\s*/\s*10)?\D+?(?P<two>[-+]?\d+(?:\.\d+)?)(?:\s*/\s*10)?\D*"
)


@dataclass(frozen=True)
class Relative:
    """One category: the ratio in percent with its interval, the two means, and the counts."""

    percent: float
    low: float
    high: float
    reference: float
    candidate: float
    number: int
    unreadable: int


def scores_in(reply: str) -> tuple[float, float] | None:
    """The two scores in the first line of a reply, each 1 to 10; None where it has no such two."""
    lines = [line for line in reply.strip().splitlines() if line.strip()]
    match = _FIRST_LINE.fullmatch(lines[0].strip()) if lines else None
    if match is None:
        return None
    pair = float(match["one"]), float(match["two"])
    return pair if all(LOWEST <= score <= HIGHEST for score in pair) else None


def pair_of(review: Row) -> tuple[float, float] | None:
    """(reference, candidate) of a stored review, or None where it could not be read."""
    pair = review.get("tuple")
    if not isinstance(pair, list) or len(pair) != 2:
        return None
    if not all(isinstance(score, int | float) and LOWEST <= score <= HIGHEST for score in pair):
        return None
    return float(pair[0]), float(pair[1])


def read_reviews(path: Path) -> list[Row]:
    """The reviews of a file. Raises :class:`llava_core.training.records.DataError`."""
    return read_rows(path, ("question_id", "category", "tuple"), "review", unfinished=True)


def summarise(reviews: Sequence[Row], seed: int = 0) -> dict[str, Relative]:
    """Each category, and all questions under "all"; categories without a readable reply are NaN.

    Several reviews of a question (orders, repeats) are averaged first, so that each counts once.
    """
    names = sorted({str(review["category"]) for review in reviews})
    chosen: Mapping[str, Sequence[Row]] = {
        name: [review for review in reviews if str(review["category"]) == name] for name in names
    }
    return {name: _relative(rows, seed) for name, rows in chosen.items()} | {
        "all": _relative(reviews, seed)
    }


def _relative(reviews: Sequence[Row], seed: int) -> Relative:
    by_question: dict[str, list[tuple[float, float]]] = {}
    unreadable = 0
    for review in reviews:
        pair = pair_of(review)
        if pair is None:
            unreadable += 1
        else:
            by_question.setdefault(str(review["question_id"]), []).append(pair)
    if not by_question:
        nan = float("nan")
        return Relative(nan, nan, nan, nan, nan, 0, unreadable)
    means = np.array([np.mean(pairs, axis=0) for pairs in by_question.values()])
    reference, candidate = (float(value) for value in means.mean(axis=0))
    drawn = np.random.default_rng(seed).integers(0, len(means), (RESAMPLES, len(means)))
    resampled = means[drawn].mean(axis=1)
    low, high = np.percentile(100 * resampled[:, 1] / resampled[:, 0], [2.5, 97.5])
    return Relative(
        100 * candidate / reference,
        float(low),
        float(high),
        reference,
        candidate,
        len(means),
        unreadable,
    )


def spread(summaries: Sequence[Mapping[str, Relative]]) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation of several summaries' percentages, by category."""
    found = {}
    for name in {name: None for summary in summaries for name in summary}:
        values = [s[name].percent for s in summaries if name in s and s[name].number]
        if values:
            found[name] = (mean(values), stdev(values) if len(values) > 1 else 0.0)
    return found
