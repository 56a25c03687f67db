"""Which two models meet in the next blind battle."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from app.errors import OneModel
from app.protocol import ModelInfo

Rule = Literal["uniform", "uncertainty"]


@dataclass(frozen=True)
class PairVotes:
    """Votes of an unordered pair so far: score of the first by name, ties as half, and number."""

    score: float = 0.0
    votes: int = 0

    @property
    def worth(self) -> float:
        """How much narrower one more vote makes the interval of the pair's win rate.

        The standard error sqrt(p (1 - p) / n) before, less that after; one win and one loss are
        added, so that pairs without votes have a finite worth.
        """
        number = self.votes + 2
        p = (self.score + 1) / number
        return math.sqrt(p * (1 - p)) * (1 / math.sqrt(number) - 1 / math.sqrt(number + 1))


def candidates(served: Sequence[ModelInfo], allowed: Sequence[str]) -> list[ModelInfo]:
    """The served models that take part; all, where ``allowed`` is empty.

    Raises :class:`app.errors.OneModel` where there are fewer than two.
    """
    taking_part = [model for model in served if not allowed or model.id in allowed]
    if len(taking_part) < 2:
        raise OneModel(_what_is_missing(served, taking_part, allowed))
    return taking_part


def draw_pair(
    models: Sequence[ModelInfo],
    rule: Rule,
    votes: Mapping[tuple[str, str], PairVotes],
    rng: random.Random,
) -> tuple[ModelInfo, ModelInfo]:
    """Left and right: a pair by the rule, its sides by chance.

    ``votes``: by the pair's ids in alphabetical order.
    """
    pairs = list(itertools.combinations(sorted(models, key=lambda model: model.id), 2))
    if rule == "uniform":
        chosen = rng.choice(pairs)
    else:
        worths = [votes.get((a.id, b.id), PairVotes()).worth for a, b in pairs]
        chosen = rng.choices(pairs, worths)[0]
    left, right = rng.sample(chosen, 2)
    return left, right


def _what_is_missing(
    served: Sequence[ModelInfo], taking_part: Sequence[ModelInfo], allowed: Sequence[str]
) -> str:
    if not served:
        return "A battle needs two models, and none is being served at the moment."
    if len(served) == 1:
        return f"A battle needs two models, and only {served[0].id!r} is being served."
    there = ", ".join(repr(model.id) for model in taking_part) or "none"
    return (
        f"A battle needs two models, and of those in the arena ({', '.join(allowed)}) only "
        f"{there} is being served."
    )
