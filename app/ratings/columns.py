"""Votes in columns: a million of them in some tens of megabytes, counted by numpy.

Rows come in the order of their numbers and are never taken out. A vote that changes another one
makes the former row count no more, whether both are read at once or the change comes later.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from app.ratings.records import VoteRecord

CHOICES = ("left", "right", "tie", "both_bad")
KINDS = ("blind", "named")
VOTERS = ("person", "judge")
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Names:
    """Names as small numbers, in the order in which they were first seen."""

    def __init__(self, *first: str) -> None:
        self.all: list[str] = []
        self._numbers: dict[str, int] = {}
        for name in first:
            self.number(name)

    def number(self, name: str) -> int:
        """The number of a name."""
        found = self._numbers.get(name)
        if found is None:
            found = self._numbers[name] = len(self.all)
            self.all.append(name)
        return found


@dataclass(frozen=True)
class Columns:
    """All votes as arrays of the same length; ``stands`` tells which are not replaced."""

    kind: Ints
    voters: Ints
    voter: Ints
    choice: Ints
    left: Ints
    right: Ints
    left_precision: Ints
    right_precision: Ints
    language: Ints
    question: Ints
    source: Ints
    reason: Ints
    not_counted: Ints
    day: Ints
    prompt: Ints
    battle: Ints
    stands: Bools


INTEGERS = tuple(name for name in Columns.__dataclass_fields__ if name != "stands")


@dataclass
class Votes:
    """The columns as they grow, and the names behind their numbers."""

    models: Names = field(default_factory=Names)
    precisions: Names = field(default_factory=Names)
    languages: Names = field(default_factory=Names)
    questions: Names = field(default_factory=Names)
    sources: Names = field(default_factory=Names)
    voters: Names = field(default_factory=Names)
    reasons: Names = field(default_factory=lambda: Names(""))
    """Why votes are not counted; 0: they are."""
    days: Names = field(default_factory=Names)
    last: int = 0
    """Number of the last vote."""
    _data: dict[str, array[int]] = field(
        default_factory=lambda: {name: array("q") for name in INTEGERS}
    )
    _stands: bytearray = field(default_factory=bytearray)
    _numbers: array[int] = field(default_factory=lambda: array("q"))
    _columns: Columns | None = None

    def __len__(self) -> int:
        return len(self._numbers)

    def extend(self, records: Iterable[VoteRecord]) -> None:
        """More votes, in the order of their numbers."""
        data = self._data
        for vote in records:
            data["kind"].append(KINDS.index(vote.kind))
            data["voters"].append(VOTERS.index(vote.voter_kind))
            data["voter"].append(self.voters.number(vote.voter))
            data["choice"].append(CHOICES.index(vote.choice))
            data["left"].append(self.models.number(vote.left_model))
            data["right"].append(self.models.number(vote.right_model))
            data["left_precision"].append(self.precisions.number(vote.left_precision))
            data["right_precision"].append(self.precisions.number(vote.right_precision))
            data["language"].append(self.languages.number(vote.language))
            data["question"].append(self.questions.number(vote.question_kind))
            data["source"].append(self.sources.number(vote.source))
            data["reason"].append(1 if vote.reason else 0)
            data["not_counted"].append(self.reasons.number(vote.not_counted or ""))
            data["day"].append(self.days.number(vote.created_at[:10]))
            data["prompt"].append(_short(vote.prompt_hash))
            data["battle"].append(_short(vote.battle_id))
            self._stands.append(1)
            self._numbers.append(vote.number)
            if vote.replaces is not None:
                self._replace(vote.replaces)
            self.last = max(self.last, vote.number)
        self._columns = None

    def columns(self) -> Columns:
        """The votes so far, as arrays."""
        if self._columns is None:
            arrays = {name: np.array(values, np.int64) for name, values in self._data.items()}
            stands = np.frombuffer(bytes(self._stands), np.uint8).astype(bool)
            self._columns = Columns(**arrays, stands=stands)
        return self._columns

    def _replace(self, number: int) -> None:
        """The row of this number stands no more."""
        index = int(np.searchsorted(np.frombuffer(self._numbers, np.int64), number))
        if index < len(self._numbers) and self._numbers[index] == number:
            self._stands[index] = 0


def _short(text: str) -> int:
    """63 bits that stand for a text; 0 for none."""
    if not text:
        return 0
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
