"""The concept-balanced choice of captions for stage 1 (Visual Instruction Tuning, section 4.2).

https://arxiv.org/abs/2304.08485, appendix: noun phrases are counted over all captions; those rarer
than 3 are skipped; from the rarest phrase that is left, the captions with it join the pool; of a
phrase that more than 100 captions have, 100 are drawn. So CC3M became 595K pairs.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """What one step of the choice counts, in words."""

    words: str
    number: int


@dataclass
class Concepts:
    """Which captions have which noun phrase; captions are added in their order."""

    captions: int = 0
    without: int = 0
    where: dict[str, array[int]] = field(default_factory=dict)

    def add(self, phrases: Iterable[str]) -> None:
        """The next caption, with its phrases; a phrase counts once in a caption."""
        found = set(phrases)
        for phrase in found:
            self.where.setdefault(phrase, array("L")).append(self.captions)
        self.without += not found
        self.captions += 1


@dataclass(frozen=True)
class Choice:
    """The numbers of the chosen captions, ascending, and the count of every step."""

    chosen: list[int]
    steps: tuple[Step, ...]


def balance(concepts: Concepts, rarest: int = 3, most: int = 100, seed: int = 0) -> Choice:
    """The paper's choice; the same for the same captions and seed.

    Phrases equally rare come in alphabetical order, and each is drawn from by a generator of its
    own, so that no phrase's sample depends on another's.
    """
    kept = [phrase for phrase, places in concepts.where.items() if len(places) >= rarest]
    kept.sort(key=lambda phrase: (len(concepts.where[phrase]), phrase))
    pool: set[int] = set()
    sampled = whole = 0
    for phrase in kept:
        places = concepts.where[phrase]
        if len(places) <= most:
            pool.update(places)
            whole = len(pool)  # the rarer ones come first
            continue
        sampled += 1
        pool.update(random.Random(f"{seed}:{phrase}").sample(places, most))
    steps = (
        Step("captions read", concepts.captions),
        Step("captions without a noun phrase", concepts.without),
        Step("different noun phrases", len(concepts.where)),
        Step(f"rarer than {rarest}, skipped", len(concepts.where) - len(kept)),
        Step(f"in {rarest} to {most} captions, all taken", len(kept) - sampled),
        Step("captions in the pool after these", whole),
        Step(f"in more than {most} captions, {most} drawn of each", sampled),
        Step("captions chosen", len(pool)),
    )
    return Choice(sorted(pool), steps)
