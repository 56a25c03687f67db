"""Results beside each other: which can be compared, which cannot, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from training.evals.results import KINDS, Result


@dataclass(frozen=True)
class Group:
    """Results of one kind, measured alike: same data, same settings."""

    kind: str
    results: tuple[Result, ...]

    def differences(self, other: Group) -> list[str]:
        """In what this group is measured otherwise than ``other``; empty where it is the same."""
        ours, theirs = self.results[0], other.results[0]
        found = [
            f"other {name} ({theirs.settings.get(name, 'none')} there, "
            f"{ours.settings.get(name, 'none')} here)"
            for name in sorted({*ours.settings, *theirs.settings})
            if ours.settings.get(name) != theirs.settings.get(name)
        ]
        found += [
            f"other {name}"
            for name in sorted({*ours.data, *theirs.data})
            if ours.data.get(name) != theirs.data.get(name)
        ]
        return found


@dataclass(frozen=True)
class Overlap:
    """How many of a result's test pictures are among the training pictures."""

    model: str
    kind: str
    shared: int
    tested: int


def grouped(results: Sequence[Result]) -> list[Group]:
    """Groups of comparable results, by kind, the largest first; models by their headline."""
    found: dict[tuple[str, str], list[Result]] = {}
    for each in results:
        found.setdefault(each.comparable_with, []).append(each)
    groups = [
        Group(kind, tuple(sorted(same, key=lambda each: -each.figures[each.headline].percent)))
        for (kind, _), same in found.items()
    ]
    return sorted(groups, key=lambda group: (KINDS.index(group.kind), -len(group.results)))


def overlaps(results: Sequence[Result], trained_on: Sequence[str]) -> list[Overlap]:
    """For each result that tells its test pictures, how many of them were trained on."""
    known = set(trained_on)
    return [
        Overlap(each.model, each.kind, len(known & set(each.pictures)), len(set(each.pictures)))
        for each in results
        if each.pictures
    ]
