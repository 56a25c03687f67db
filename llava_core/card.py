"""What a checkpoint's model card, its README.md, says about it: facts for people who choose.

Cards are Markdown with YAML in front (https://huggingface.co/docs/hub/model-cards). Nothing is
added to what they say; what a card does not say stays empty.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

log = logging.getLogger(__name__)

LONGEST = 900
"""Characters kept of a section."""
TRAINED = ("data", "training data", "training dataset", "training datasets")
ACCURACY = ("accuracy", "evaluation", "results", "evaluation results")
LIMITS = ("limits", "limitations", "bias, risks, and limitations", "out-of-scope use")


@dataclass(frozen=True)
class Card:
    """Texts of a model card; empty where it says nothing."""

    license: str = ""
    base: str = ""
    trained_on: str = ""
    accuracy: str = ""
    limits: str = ""


def read_card(folder: Path) -> Card:
    """The card of a checkpoint's folder; an empty one where there is none that can be read."""
    try:
        text = (folder / "README.md").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return Card()
    facts, body = _split(text)
    sections = _sections(body)
    return Card(
        license=_words(facts.get("license_name") or facts.get("license")),
        base=_words(facts.get("base_model")),
        trained_on=_first(sections, TRAINED) or _words(facts.get("datasets")),
        accuracy=_first(sections, ACCURACY),
        limits=_first(sections, LIMITS),
    )


def _split(text: str) -> tuple[dict[str, Any], str]:
    """The YAML in front, and the Markdown after it."""
    found = re.match(r"---\s*\n(.*?)\n---\s*\n(.*)", text, re.DOTALL)
    if not found:
        return {}, text
    try:
        facts = yaml.safe_load(found[1])
    except yaml.YAMLError as error:
        log.warning("the facts in front of a model card are no YAML: %s", error)
        facts = None
    return (facts if isinstance(facts, dict) else {}), found[2]


def _sections(body: str) -> dict[str, str]:
    """Headings in small letters, each with the plain text below it, without tables and code."""
    parts = re.split(r"^#{1,4}\s+(.+?)\s*#*$", body, flags=re.MULTILINE)
    return {
        title.strip().lower(): plain(text)
        for title, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def plain(markdown: str) -> str:
    """Markdown as one run of plain words, cut at a sentence where it is long."""
    text = re.sub(r"```.*?```|<[^>\n]+>", " ", markdown, flags=re.DOTALL)
    text = re.sub(r"[^\n]*:\s*\n\s*(?=\|)", "\n", text)  # what only announces a table
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("|")]
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", "\n".join(lines))
    text = re.sub(r"[*`]|^[ \t]*[-+>] ", "", text, flags=re.MULTILINE)
    text = " ".join(text.split())
    if len(text) <= LONGEST:
        return text
    end = text.rfind(". ", 0, LONGEST)
    return text[: end + 1] if end > 0 else f"{text[:LONGEST]} …"


def _first(sections: dict[str, str], titles: tuple[str, ...]) -> str:
    return next((sections[title] for title in titles if sections.get(title)), "")


def _words(value: Any) -> str:
    """A fact as words: lists joined; anything else that is no text left out."""
    values = value if isinstance(value, list) else [value]
    return ", ".join(str(each) for each in values if isinstance(each, str))[:LONGEST]
