"""Which choice an answer to a multiple-choice question takes: two readers of letters.

*published* is the one of the paper's evaluation, so that its numbers can be compared; *robust* also
reads the other ways in which models write a letter. A letter that is no choice of the question, and
a text without a letter, are failures: index -1, counted as wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from string import ascii_uppercase

FAILED = -1
OPTIONS = "ABCDE"
"""The letters of ScienceQA."""
Reader = Callable[[str, Sequence[str]], int]
_SAID = re.compile(r"The answer is ([A-Z])\.")
_LAST = re.compile(
    r"\b(?:the\s+)?(?:correct\s+|right\s+|best\s+|final\s+)?(?:answer|option|choice)\b"
    r"\s*(?:is|:|=|-)?\s*[:\s]*[(\[*\"']*\s*([a-z])\b",
    re.IGNORECASE,
)
_ALONE = re.compile(r"^[\s(\[*\"']*([a-z])[\s)\].:,*\"']*$", re.IGNORECASE)
_FIRST = re.compile(r"^\s*[(\[*\"']*([a-z])\s*[)\].:]", re.IGNORECASE)
_BRACKETED = re.compile(r"\(([a-z])\)", re.IGNORECASE)


def published(text: str, choices: Sequence[str]) -> int:
    """The index of the choice as the paper's evaluation reads it, or :data:`FAILED`.

    The text is a letter; or begins with a letter, a full stop and a space; or holds exactly one
    "The answer is X.". https://github.com/haotian-liu/LLaVA/blob/main/llava/eval
    """
    letter = ""
    if text in OPTIONS and len(text) == 1:
        letter = text
    elif len(text) >= 3 and text[0] in OPTIONS and text[1:3] == ". ":
        letter = text[0]
    else:
        said = _SAID.findall(text)
        letter = said[0] if len(said) == 1 else ""
    return _index(letter, choices)


def robust(text: str, choices: Sequence[str]) -> int:
    """The same, also from "(B)", "b)", "Answer: B", "the answer is b" and the choice's own words.

    Where an answer names several, the last "answer is" counts: models correct themselves.
    """
    found = _ALONE.match(text)
    if found:
        return _index(found[1], choices)
    for match in reversed(list(_LAST.finditer(text))):
        index = _index(match[1], choices)
        # "the answer is a plant" says a word, not the letter A.
        if index != FAILED and not _is_article(text, match):
            return index
    words = _by_words(text, choices)
    if words != FAILED:
        return words
    first = _FIRST.match(text)
    if first:
        return _index(first[1], choices)
    bracketed = {_index(letter, choices) for letter in _BRACKETED.findall(text)} - {FAILED}
    return bracketed.pop() if len(bracketed) == 1 else FAILED


READERS: dict[str, Reader] = {"published": published, "robust": robust}


def _index(letter: str, choices: Sequence[str]) -> int:
    options = ascii_uppercase[: len(choices)]
    return options.index(letter.upper()) if letter and letter.upper() in options else FAILED


def _is_article(text: str, match: re.Match[str]) -> bool:
    """Whether the small letter a stands before a further word."""
    following = text[match.end(1) :]
    return match[1] == "a" and re.match(r"\s+[a-z]", following) is not None


def _by_words(text: str, choices: Sequence[str]) -> int:
    """The choice whose words are the whole answer, case and punctuation apart."""
    said = _plain(re.sub(r"(?i)^\s*(the\s+)?answer\s*(is|:)\s*", "", text))
    same = [index for index, choice in enumerate(choices) if said and _plain(choice) == said]
    return same[0] if len(same) == 1 else FAILED


def _plain(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower()).split())
