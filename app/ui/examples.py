"""Example pictures with a question each, from ``assets/examples``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from app.settings import ROOT

EXAMPLES = ROOT / "assets" / "examples"


@dataclass(frozen=True)
class Example:
    """A picture file and a question about it."""

    image: Path
    question: str


def load_examples(folder: Path = EXAMPLES) -> list[Example]:
    """The examples that ``examples.json`` lists, in its order; none where there is no list.

    Raises ``ValueError`` for an entry without its two keys or without its picture.
    """
    listing = folder / "examples.json"
    if not listing.exists():
        return []
    return [_example(entry, folder) for entry in json.loads(listing.read_text("utf-8"))]


def _example(entry: dict[str, str], folder: Path) -> Example:
    try:
        example = Example(folder / Path(entry["image"]).name, entry["question"])
    except KeyError as error:
        raise ValueError(f"{folder}/examples.json: {entry} has no {error}") from error
    if not example.image.is_file():
        raise ValueError(f"{folder}/examples.json: there is no picture {example.image.name}")
    return example
