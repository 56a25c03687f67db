"""Hides the names of models in answers that are to be judged blind.

Hidden are, whatever their case: a model's id, its last part, that in other spellings
(``llava-tiny`` as "LLaVA tiny" or "llavatiny"), its beginnings of two parts or more, its parts with
letters and digits, and the families' own names. Everyday words that an id may have for a part
("tiny", "cats") stay: an answer about cats must stay one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.battle_protocol import MASK

FAMILIES = (
    "bakllava",
    "chatgpt",
    "claude",
    "deepseek",
    "flamingo",
    "gemini",
    "gemma",
    "gpt",
    "idefics",
    "internvl",
    "llama",
    "llava",
    "minicpm",
    "mistral",
    "moondream",
    "nanovlm",
    "paligemma",
    "pixtral",
    "qwen",
    "smolvlm",
    "vicuna",
)
"""Names of families, with an optional version after them: "Qwen2.5-VL", "GPT-4o"."""
_VERSION = r"(?:[\s\-]?v?\d[\w.]*)?(?:[\s\-](?:vl|next|onevision))?"
_PARTS = re.compile(r"[^\W_]+(?:\.\d+)*")


def names_of(model: str) -> set[str]:
    """The spellings of a model's id as regular expressions."""
    last = model.rstrip("/").rsplit("/", 1)[-1]
    parts = _PARTS.findall(last)
    patterns = {re.escape(model), re.escape(last)} if len(last) > 2 else set()
    for end in range(2, len(parts) + 1):
        patterns.add(r"[\s\-_.]*".join(re.escape(part) for part in parts[:end]))
    for part in parts:
        mixed = re.search(r"[^\W\d_]{2}", part) and re.search(r"\d", part)
        if mixed and len(part) > 3:
            patterns.add(re.escape(part))
    return patterns


class Mask:
    """Hides names in one answer, piece by piece; :attr:`hit` tells whether there were any."""

    def __init__(self, models: Iterable[str]) -> None:
        models = list(models)
        own = {name for model in models for name in names_of(model)}
        families = {re.escape(family) + _VERSION for family in FAMILIES}
        longest_first = sorted(own, key=len, reverse=True) + sorted(families)
        # Not \b: in Chinese or Japanese text no space parts a name from the words around it.
        pattern = rf"(?<![A-Za-z0-9])(?:{'|'.join(longest_first)})(?![A-Za-z0-9])"
        self._names = re.compile(pattern, re.IGNORECASE)
        self._lag = max(len(model) for model in models) + SUFFIX
        self._held = ""
        self.hit = False

    def feed(self, text: str) -> str:
        """What is safe to show after ``text``; as much as a name can have is kept back."""
        self._held += text
        cut = max(0, len(self._held) - self._lag)
        for match in self._names.finditer(self._held):
            if match.start() < cut < match.end():
                cut = match.start()
        shown, self._held = self._held[:cut], self._held[cut:]
        return self._hide(shown)

    def finish(self) -> str:
        """The rest."""
        rest, self._held = self._hide(self._held), ""
        return rest

    def whole(self, text: str) -> str:
        """A whole text with its names hidden."""
        return self._hide(text)

    def _hide(self, text: str) -> str:
        hidden, number = self._names.subn(MASK, text)
        self.hit = self.hit or number > 0
        return hidden


SUFFIX = 24
"""Characters that a name may have in an answer beyond its id: spaces, a version."""
