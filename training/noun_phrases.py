"""The noun phrases of a caption: "large brown dog", "wooden bench".

By spaCy where it and its small English model are installed, as in the paper; else by TextBlob,
whose tagger and chunker bring their lexicon along and download nothing. Either gives the same
phrases for the same caption, but not the same as the other.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from typing import Any, Literal

NounPhrases = Callable[[str], frozenset[str]]
Finder = Literal["spacy", "textblob"]
SPACY_MODEL = "en_core_web_sm"
_LEADING = ("DT", "PRP$", "CD", "PDT", "WDT", "WP$", "POS", "JJR", "JJS")
_FIELDS = 4
"""Word, tag, chunk and prepositional chunk of one token in TextBlob's notation."""


def finder_here() -> Finder:
    """What there is on this machine: spaCy with its model, or TextBlob."""
    here = all(importlib.util.find_spec(name) for name in ("spacy", SPACY_MODEL))
    return "spacy" if here else "textblob"


def noun_phrases_by(finder: Finder) -> NounPhrases:
    """A function from a caption to its noun phrases; loads the library.

    They are in small letters, without articles, possessives and numbers in front. Raises
    ``ImportError`` where the library is missing.
    """
    return _by_spacy() if finder == "spacy" else _by_textblob()


def _by_textblob() -> NounPhrases:
    parse: Any = importlib.import_module("textblob.en").parse
    with warnings.catch_warnings():  # it leaves the files of its lexicon to the garbage collector
        warnings.simplefilter("ignore", ResourceWarning)
        parse("A first word.")

    def phrases(caption: str) -> frozenset[str]:
        found: list[list[tuple[str, str]]] = []
        for token in str(parse(caption)).split():
            word, tag, chunk = token.split("/")[: _FIELDS - 1]
            if chunk == "B-NP" or (chunk == "I-NP" and not found):
                found.append([])
            if chunk.endswith("-NP"):
                found[-1].append((word, tag))
        return _clean(found)

    return phrases


def _by_spacy() -> NounPhrases:
    spacy: Any = importlib.import_module("spacy")
    model = spacy.load(SPACY_MODEL, disable=["ner", "lemmatizer"])

    def phrases(caption: str) -> frozenset[str]:
        chunks = model(caption).noun_chunks
        return _clean([[(token.text, token.tag_) for token in chunk] for chunk in chunks])

    return phrases


def _clean(chunks: list[list[tuple[str, str]]]) -> frozenset[str]:
    """Chunks of (word, Penn tag) as phrases; those without a noun are left out."""
    phrases = set()
    for chunk in chunks:
        while chunk and chunk[0][1] in _LEADING:
            chunk = chunk[1:]
        if any(tag.startswith("NN") for _, tag in chunk):
            phrases.add(" ".join(word.lower() for word, _ in chunk))
    return frozenset(phrases)
