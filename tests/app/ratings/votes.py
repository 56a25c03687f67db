"""Votes for tests: written by hand, or cast by simulated voters of known strengths."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from app.ratings.columns import Votes
from app.ratings.records import VoteRecord

_COUNTER = itertools.count(1)


def vote(left: str = "a", right: str = "b", choice: str = "left", **keys: Any) -> VoteRecord:
    """A vote; each has a battle and a voter of its own unless told."""
    number = keys.pop("number", None) or next(_COUNTER)
    values: dict[str, Any] = {
        "number": number,
        "vote_id": f"vote_{number}",
        "battle_id": f"bat_{number}",
        "kind": "blind",
        "voter": f"voter-{number}",
        "voter_kind": "person",
        "choice": choice,
        "reason": None,
        "turn": 1,
        "left_model": left,
        "left_revision": "r",
        "left_precision": "32bit",
        "right_model": right,
        "right_revision": "r",
        "right_precision": "32bit",
        "language": "en",
        "question_kind": "what",
        "prompt_hash": f"prompt-{number}",
        "created_at": "2026-01-01T00:00:00.000000+00:00",
    }
    return VoteRecord(**{**values, **keys})


def votes_of(*records: VoteRecord) -> Votes:
    """Votes in the order of their numbers."""
    votes = Votes()
    votes.extend(sorted(records, key=lambda record: record.number))
    return votes


def simulated(
    strengths: Sequence[float], number: int, rng: np.random.Generator
) -> Iterator[VoteRecord]:
    """Votes on models m0, m1, ... with these log-strengths.

    Each voter looks twice, and each look prefers a model as Bradley-Terry says; where the looks
    disagree the voter says tie. So a tie is exactly half a win of each.
    """
    names = [f"m{index}" for index in range(len(strengths))]
    for _ in range(number):
        left, right = rng.choice(len(strengths), 2, replace=False)
        chance = 1 / (1 + math.exp(strengths[right] - strengths[left]))
        looks = (rng.random() < chance) + (rng.random() < chance)
        yield vote(names[left], names[right], ("right", "tie", "left")[looks])
