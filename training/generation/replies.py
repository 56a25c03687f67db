"""A teacher's reply as turns: the form of the prompts, read strictly.

``Question:``, its text, ``===``, ``Answer:``, its text, ``===``, and so on; for descriptions, the
answer alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_LINE = re.compile(r"^[ \t]*={3,}[ \t]*$", re.MULTILINE)
_HEADING = re.compile(r"^[*#\s]*(question|answer)\s*\d*\**\s*:\**\s*", re.IGNORECASE)
_HEADING_ALONE = re.compile(r"^[*#\s]*(question|answer)\s*\d*\**\s*:\**\s*$", re.I | re.MULTILINE)


@dataclass(frozen=True)
class Pair:
    """A question and its answer."""

    question: str
    answer: str


class FormError(ValueError):
    """A reply that is not of the form: ``reason`` in a word, ``detail`` in a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


def write_pairs(pairs: Sequence[Pair]) -> str:
    """The form that :func:`read_pairs` reads."""
    blocks = (f"Question:\n{pair.question}\n===\nAnswer:\n{pair.answer}\n===" for pair in pairs)
    return "\n".join(blocks)


def read_pairs(text: str) -> list[Pair]:
    """The pairs of a reply. Raises :class:`FormError` where it has another form."""
    blocks = [block.strip() for block in _LINE.split(text)]
    if not blocks[-1]:
        blocks.pop()  # after the last line ===
    turns = [_turn(number, block) for number, block in enumerate(blocks, 1)]
    if not turns:
        raise FormError("form", "there is no pair in it")
    for number, (speaker, _) in enumerate(turns):
        expected = "answer" if number % 2 else "question"
        if speaker != expected:
            raise FormError("roles", f"block {number + 1} is the {speaker}, expected {expected}")
    if len(turns) % 2:
        raise FormError("roles", "the last question has no answer")
    texts = [said for _, said in turns]
    return [Pair(*pair) for pair in zip(texts[::2], texts[1::2], strict=True)]


def _turn(number: int, block: str) -> tuple[str, str]:
    """Who speaks in a block, and what they say."""
    heading = _HEADING.match(block)
    if heading is None:
        shown = " ".join(block.split())[:60]
        raise FormError("form", f"block {number} begins with {shown!r}, not Question: or Answer:")
    said = block[heading.end() :].strip()
    if _HEADING_ALONE.search(said):
        raise FormError("form", f"block {number} holds several turns without === between them")
    return heading[1].lower(), said


def read_answer(text: str) -> str:
    """The description of a reply. Raises :class:`FormError` where it looks like pairs."""
    if _LINE.search(text) or _HEADING_ALONE.search(text):
        raise FormError("form", "it has headings, where a description alone was asked for")
    return text.strip()
