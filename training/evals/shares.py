"""Shares of right answers, in percent, with 95% intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

RESAMPLES = 10_000
_Z = 1.959964
"""97.5% of a normal distribution lie below."""


@dataclass(frozen=True)
class Share:
    """A percentage of ``number`` answers, and its interval."""

    percent: float
    low: float
    high: float
    number: int


def bootstrap(right: np.ndarray[Any, Any], seed: int = 0) -> Share:
    """The percentage of True, with the interval of resampled questions (percentile bootstrap).

    Drawing n of n questions with replacement draws a binomial number of right ones.
    """
    number, mean = len(right), float(right.mean())
    drawn = np.random.default_rng(seed).binomial(number, mean, RESAMPLES) / number
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Share(100 * mean, 100 * float(low), 100 * float(high), number)


def wilson(right: Sequence[bool]) -> Share:
    """The percentage of True with Wilson's interval, which is honest for few and for all right
    (https://doi.org/10.1080/01621459.1927.10502953)."""
    number = len(right)
    mean = sum(right) / number
    middle = (mean + _Z**2 / (2 * number)) / (1 + _Z**2 / number)
    half = _Z / (1 + _Z**2 / number)
    half *= sqrt(mean * (1 - mean) / number + _Z**2 / (4 * number**2))
    return Share(100 * mean, 100 * max(middle - half, 0), 100 * min(middle + half, 1), number)
