"""Which words of some answers are not in all of them."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from difflib import SequenceMatcher

_WORDS = re.compile(r"\s+|[^\W_]+(?:['’][^\W_]+)*|.", re.DOTALL)
LONGEST = 4000
"""Words of one answer that are compared; beyond, an answer is shown without marks. Comparing takes
time that grows with the product of two lengths, and the page has other people to serve."""


def words_of(text: str) -> list[str]:
    """The text in words, spaces and signs; joined they are the text again."""
    return _WORDS.findall(text)


def differing(texts: Sequence[str]) -> list[list[bool]]:
    """For each word (:func:`words_of`) of each text, whether some other text has none to match it.

    Words are matched in order and without regard to case. A text without words takes no part; with
    fewer than two others, nothing differs.
    """
    split = [words_of(text) for text in texts]
    taking_part = [words for words in split if any(map(_is_word, words))]
    if len(taking_part) < 2 or max(map(len, taking_part)) > LONGEST:
        return [[False] * len(words) for words in split]
    return [_unmatched(words, taking_part) for words in split]


def marked(text: str, marks: Sequence[bool]) -> str:
    """The text as HTML, exactly as it is, with the marked words in ``<mark>``."""
    pieces = []
    for word, mark in zip(words_of(text), marks, strict=True):
        shown = html.escape(word).replace("\n", "<br>")
        pieces.append(f"<mark>{shown}</mark>" if mark else shown)
    # Words side by side are one mark.
    return re.sub(r"</mark>( ?)<mark>", r"\1", "".join(pieces))


def _unmatched(words: list[str], texts: list[list[str]]) -> list[bool]:
    own = [word.lower() for word in words]
    everywhere = [True] * len(words)
    for other in texts:
        if other is words:
            continue
        matched = [False] * len(words)
        matcher = SequenceMatcher(None, own, [word.lower() for word in other], autojunk=False)
        for start, _, length in matcher.get_matching_blocks():
            matched[start : start + length] = [True] * length
        everywhere = [both and one for both, one in zip(everywhere, matched, strict=True)]
    return [_is_word(word) and not shared for word, shared in zip(words, everywhere, strict=True)]


def _is_word(piece: str) -> bool:
    return piece[0].isalnum()
