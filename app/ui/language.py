"""The two languages of the page: every word that a person sees, from ``assets/texts``."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from app.errors import StudioError
from app.settings import ROOT

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
TEXTS = ROOT / "assets" / "texts"
PREFIXES: dict[Language, str] = {"en": "", "zh": "/zh"}
"""Where each language's pages stand: ``/`` and ``/zh/``."""
LOCALES: dict[Language, str] = {"en": "en", "zh": "zh-CN"}
"""As HTML's ``lang`` and Gradio's own words call them."""


class Texts:
    """The words of one language by key: ``texts("branch.answer_position", position=2, total=3)``.

    Keys are ``section.name``; a value may hold ``{fields}`` as of :meth:`str.format`.
    """

    def __init__(self, language: Language, entries: dict[str, dict[str, str]]) -> None:
        self.language: Language = language
        self.entries = entries
        self._words = {
            f"{section}.{name}": words
            for section, names in entries.items()
            for name, words in names.items()
        }

    def __call__(self, key: str, **fields: object) -> str:
        """The words; raises ``KeyError`` where there are none, which a test rules out."""
        words = self._words[key]
        return words.format(**fields) if fields else words

    @property
    def keys(self) -> set[str]:
        """All keys, as they are asked for."""
        return set(self._words)

    def error(self, error: StudioError) -> str:
        """What happened and what to do next.

        The app's errors speak English. In another language their kind is put into words, and the
        English sentence, which holds the values, follows in brackets.
        """
        if isinstance(error, PageError):
            return self(error.key, **error.fields)
        said = f"{error.message.rstrip()} {error.remedy}".strip()
        if self.language == "en":
            return said
        kind = self._words.get(f"errors.{error.code}")
        return self("errors.detailed", kind=kind, detail=error.message) if kind else said


class PageError(StudioError):
    """Something that the page itself refuses, in words of ``assets/texts``."""

    code = "page_error"
    status = 400

    def __init__(self, key: str, **fields: object) -> None:
        super().__init__(load_texts("en")(key, **fields))
        self.remedy = ""  # the words say that too
        self.key = key
        self.fields = fields


@cache
def load_texts(language: Language, folder: Path = TEXTS) -> Texts:
    """The texts of a language, read once."""
    return Texts(language, json.loads((folder / f"{language}.json").read_text("utf-8")))
