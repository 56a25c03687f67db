"""What kind of question a prompt is, for slices of the leaderboard: rules that can be read.

- **kind**: by its first words, where these are English: ``yes_no`` ("Is the star red?"), ``count``
  ("How many ..."), ``colour``, ``where``, ``what`` (other questions of what, which, who), ``why``
  (why, how come, explain), ``describe`` ("Describe the picture"), and ``other``.
- **language**: by script where the script tells (Japanese, Korean, Chinese, Russian, Arabic,
  Hindi, Greek, Hebrew, Thai), else by py3langid among the large languages in Latin script; short
  questions are uncertain, and then it is ``unknown``.
- **hash**: SHA-256 over the text and the pictures' SHA-256: equal for equal prompts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

UNKNOWN = "unknown"
_SEEN = r"(in|on) (the|this) (picture|image|photo)"
_KINDS = (
    ("count", r"how many\b|count\b|what (is the )?number\b"),
    ("colour", r"(what|which) colou?rs?\b|(what|which) \w+ colou?r\b"),
    (
        "describe",
        r"(please )?(describe|caption|summari[sz]e|write|tell me (about|what)|what do you see|"
        rf"what (is|are|do you see) {_SEEN})\b",
    ),
    ("where", r"where\b|on which side\b"),
    (
        "why",
        r"why\b|explain\b|what (makes|is (unusual|funny|strange))\b|"
        r"how (come|does|do|did|can|could|would|is|are)\b",
    ),
    (
        "yes_no",
        r"(is|are|am|was|were|do|does|did|has|have|had|can|could|will|would|should|may|might)"
        r"(n't)?\b",
    ),
    ("what", r"(what|which|who|whose|whom|when|name|list|how)\b"),
)
_RULES = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _KINDS)
QUESTION_KINDS = (*(kind for kind, _ in _KINDS), "other")
_POLITE = re.compile(
    r"^(and|so|then|but|ok(ay)?|now|please|hello|hi|hey)\b[\s,.!:-]*", re.IGNORECASE
)
_SCRIPTS = (
    ("ja", r"[\u3040-\u30ff]"),
    ("ko", r"[\uac00-\ud7af]"),
    ("zh", r"[\u4e00-\u9fff]"),
    ("ru", r"[\u0400-\u04ff]"),
    ("ar", r"[\u0600-\u06ff]"),
    ("hi", r"[\u0900-\u097f]"),
    ("el", r"[\u0370-\u03ff]"),
    ("he", r"[\u0590-\u05ff]"),
    ("th", r"[\u0e00-\u0e7f]"),
)
_BY_SCRIPT = tuple((language, re.compile(pattern)) for language, pattern in _SCRIPTS)
_LATIN = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "tr", "sv", "vi", "id")
_SURE = 0.8
"""Probability from which the language of a question in Latin script is believed."""


@dataclass(frozen=True)
class Prompt:
    """What the first question of a battle is, as it is stored with the battle."""

    hash: str
    language: str
    kind: str


def describe_prompt(text: str, pictures: Sequence[str]) -> Prompt:
    """``pictures``: their SHA-256 in order."""
    digest = hashlib.sha256(" ".join([text.strip(), *pictures]).encode()).hexdigest()
    language = language_of(text)
    kind = kind_of(text) if language in ("en", UNKNOWN) else "other"
    return Prompt(digest, language, kind)


def kind_of(text: str) -> str:
    """One of :data:`QUESTION_KINDS`, for a question in English."""
    first = text.strip()
    while (shorter := _POLITE.sub("", first)) != first:
        first = shorter
    for kind, pattern in _RULES:
        if pattern.match(first):
            return kind
    return "other"


def language_of(text: str) -> str:
    """ISO 639-1 code, or ``unknown``."""
    letters = [character for character in text if character.isalpha()]
    for language, pattern in _BY_SCRIPT:
        found = len(pattern.findall(text))
        if found and found * 3 >= len(letters):
            return language
    if len(letters) < 4:
        return UNKNOWN
    language, probability = _identifier().classify(text)
    return str(language) if probability >= _SURE else UNKNOWN


@lru_cache(maxsize=1)
def _identifier() -> Any:
    """py3langid's model, loaded at the first question."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(_LATIN))
    return identifier
