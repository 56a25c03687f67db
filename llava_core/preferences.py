"""Preference pairs: the record that ratings become and preference training reads.

A file is JSON lines, one pair each::

    {"id": "...", "source": "vote",
     "context": [{"role": "user", "text": "What is it?", "images": ["ab/abcd.png"]}, ...],
     "chosen": "A red star.", "rejected": "A blue square.",
     "chosen_model": "...", "rejected_model": "...", "created_at": "..."}

The context ends with the question that both answers answer. ``images`` are paths, relative to the
folder of pictures. A pair says that a person preferred ``chosen``, as direct preference
optimisation needs it (Rafailov et al. 2023, https://arxiv.org/abs/2305.18290).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from llava_core.errors import CoreError

Source = Literal["vote", "regenerate", "siblings"]
SOURCES: tuple[str, ...] = get_args(Source)
"""Where a pair comes from: a vote on a battle; an answer that was regenerated and then liked; or
thumbs up and down on answers to the same question."""
_TEXTS = ("id", "chosen", "rejected", "chosen_model", "rejected_model", "created_at")


class BadPreference(CoreError):
    """A record that is not a preference pair; the message names the line and the key."""


@dataclass(frozen=True)
class Message:
    """One message before the answers."""

    role: Literal["user", "assistant"]
    text: str
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class PreferencePair:
    """Two answers to the same question, the better one first."""

    id: str
    source: Source
    context: tuple[Message, ...]
    chosen: str
    rejected: str
    chosen_model: str = ""
    rejected_model: str = ""
    created_at: str = ""

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise BadPreference(f"source is {self.source!r}, not one of {', '.join(SOURCES)}")
        if not self.context or self.context[-1].role != "user":
            raise BadPreference("context does not end with a question of the user")
        for position, message in enumerate(self.context):
            if message.role != ("user", "assistant")[position % 2]:
                raise BadPreference(f"context[{position}] is from {message.role!r}, out of turn")
        if self.chosen == self.rejected:
            raise BadPreference("chosen and rejected are the same text")


def write_preferences(pairs: Iterable[PreferencePair], path: Path) -> int:
    """Write JSON lines, whole or not at all; returns how many pairs there were."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    number = 0
    try:
        with draft.open("w", encoding="utf-8") as file:
            for pair in pairs:
                file.write(json.dumps(asdict(pair), ensure_ascii=False) + "\n")
                number += 1
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return number


def read_preferences(path: Path) -> Iterator[PreferencePair]:
    """The pairs of a file, one at a time; raises :class:`BadPreference` that names the line."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                yield _pair(json.loads(line))
            except (ValueError, BadPreference) as error:
                raise BadPreference(f"{path}, line {number}: {error}") from error


def _pair(record: Any) -> PreferencePair:
    if not isinstance(record, dict):
        raise BadPreference("not a JSON object")
    unknown = record.keys() - PreferencePair.__dataclass_fields__.keys()
    missing = {"id", "source", "context", "chosen", "rejected"} - record.keys()
    if unknown or missing:
        what = "unknown" if unknown else "missing"
        raise BadPreference(f"{what} keys: {', '.join(sorted(unknown or missing))}")
    for key in _TEXTS:
        if not isinstance(record.get(key, ""), str):
            raise BadPreference(f"{key} is not a text")
    if not isinstance(record["context"], list):
        raise BadPreference("context is not a list")
    messages = tuple(_message(message, at) for at, message in enumerate(record["context"]))
    return PreferencePair(**{**record, "context": messages})


def _message(record: Any, position: int) -> Message:
    where = f"context[{position}]"
    if not isinstance(record, dict) or record.keys() - {"role", "text", "images"}:
        raise BadPreference(f"{where} has other keys than role, text, images")
    images = record.get("images", [])
    if not isinstance(record.get("text"), str) or not isinstance(images, list):
        raise BadPreference(f"{where} has no text, or images that are not a list")
    if not all(isinstance(image, str) for image in images):
        raise BadPreference(f"{where}.images holds something that is not a path")
    return Message(record.get("role", ""), record["text"], tuple(images))
