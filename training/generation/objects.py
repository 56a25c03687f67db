"""Which things a text names, and which of them its picture does not have.

By words and rules alone, so it errs both ways: it knows only the things of its table, and takes
names for things. Sentences that deny, suppose or compare name nothing that has to be there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from training.generation.source import Subject

_SENTENCE = re.compile(r"(?<=[.!?;])\s+")
_NOT_CLAIMED = re.compile(
    r"\b(no|not|none|nothing|nobody|neither|nor|never|without|\w+n['’]t|cannot|"
    r"if|might|may|could|would|should|perhaps|maybe|possibly|probably|likely|imagine|"
    r"such as|for example|for instance|like an?|as if|usually|often|typically|instead of)\b",
    re.IGNORECASE,
)


class Objects:
    """Finds the things of a table in texts: name -> the words by which it goes.

    ``more`` are further names, which are their own words. The longest words win: a hot dog is no
    dog. Plurals in -s and -es are found, too.
    """

    def __init__(self, table: Mapping[str, Sequence[str]], more: Iterable[str] = ()) -> None:
        self._names: dict[str, str] = {}
        for name in (*table, *more):
            for word in table.get(name, (name,)):
                self._names.setdefault(word.lower(), name)
        longest = sorted(self._names, key=lambda word: (-len(word), word))
        words = "|".join(re.escape(word) for word in longest)
        self._pattern = re.compile(rf"\b({words})(?:e?s)?\b", re.IGNORECASE) if words else None

    def named(self, text: str) -> set[str]:
        """The names of all things in a text."""
        if self._pattern is None:
            return set()
        return {self._names[found[1].lower()] for found in self._pattern.finditer(text)}

    def claimed(self, answer: str) -> set[str]:
        """The things that an answer says are there."""
        sentences = _SENTENCE.split(answer)
        return {
            name
            for sentence in sentences
            if not _NOT_CLAIMED.search(sentence)
            for name in self.named(sentence)
        }

    def of(self, subject: Subject) -> set[str]:
        """The things that a picture has, by its captions and boxes."""
        there = {one.category for one in subject.instances}
        told = "\n".join((*subject.captions, *there))
        return there | self.named(told)

    def unknown(self, answers: Iterable[str], subject: Subject) -> list[str]:
        """Things that answers claim and the picture does not have, in alphabetical order."""
        claimed = set[str]().union(*(self.claimed(answer) for answer in answers))
        return sorted(claimed - self.of(subject))
