"""LLaVA-format training JSON about drawn scenes, and reading it back.

One list of records, as in the released LLaVA data: ``{"id", "image" (absent for text only),
"conversations": [{"from": "human" | "gpt", "value"}]}`` with ``<image>`` where the picture stands.
Ours add ``"kinds"``, the question type of each answer. A record with two pictures has a list under
``"image"`` and two placeholders.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.questions import (
    HARDEST,
    NO_PICTURE,
    NOTHING_KNOWN,
    Turn,
    any_question,
    ask_talk,
    describe,
    dialogue,
    sample_kinds,
)
from training.scenes import Scene, sample_scene

Record = dict[str, Any]


@dataclass(frozen=True)
class Mix:
    """How many questions are drawn for one record of each kind, and which types more often.

    Follow-ups come on top.
    """

    turns: dict[str, int]
    often: dict[str, int]


FIRST = Mix({"conversation": 12, "detail": 3, "reasoning": 6}, HARDEST)
SECOND = Mix(
    {"conversation": 10, "detail": 4, "reasoning": 5},
    {"count": 4, "absent": 3, "at_place": 2, "relation": 6, "describe": 5, "list": 5},
)
"""What was still wrong most often after the first part of stage 2."""


def picture_name(index: int) -> str:
    """The file name of picture ``index`` in records."""
    return f"{index:06d}.png"


def picture_index(name: str) -> int:
    """The inverse of :func:`picture_name`."""
    return int(name.removesuffix(".png"))


def caption_record(index: int, scene: Scene) -> Record:
    """Stage 1: one picture, one caption (the paper's simplest instruction, section 4.2)."""
    caption = describe(scene) if scene.things else NOTHING_KNOWN
    return {
        "id": f"caption-{index}",
        "image": picture_name(index),
        "conversations": [
            {"from": "human", "value": "<image>\nDescribe the picture."},
            {"from": "gpt", "value": caption},
        ],
        "kinds": ["caption"],
    }


def instruction_records(
    indices: list[int], scenes: list[Scene], seed: int, mix: Mix = FIRST
) -> Iterator[Record]:
    """Stage 2: for each picture a conversation, a description and complex reasoning.

    One conversation in ten goes on with a second picture, and about one in twenty-five has none.
    """
    rng = random.Random(seed)
    for index, scene in zip(indices, scenes, strict=True):
        for group, number in mix.turns.items():
            turns = dialogue(scene, rng, sample_kinds(rng, group, number, mix.often))
            if not turns:
                continue
            name = f"{group}-{index}"
            if group == "conversation" and rng.random() < 0.1:
                other = rng.randrange(len(scenes))
                more = dialogue(scenes[other], rng, sample_kinds(rng, group, 6, mix.often))
                if more:
                    yield _record(name, [(index, turns[:6]), (indices[other], more)])
                    continue
            yield _record(name, [(index, turns)])
        if rng.random() < 0.04:
            yield _record(f"none-{index}", [(None, _without_picture(rng))])


def _without_picture(rng: random.Random) -> list[Turn]:
    turns = []
    for _ in range(4):
        talk = ask_talk(sample_scene(rng, 1), rng)
        blind = Turn("nothing", any_question(rng), NO_PICTURE)
        turns.append(talk if talk and rng.random() < 0.5 else blind)
    return turns


def _record(name: str, parts: list[tuple[int | None, list[Turn]]]) -> Record:
    conversations, kinds = [], []
    for index, turns in parts:
        for position, turn in enumerate(turns):
            opening = "<image>\n" if position == 0 and index is not None else ""
            conversations.append({"from": "human", "value": opening + turn.question})
            conversations.append({"from": "gpt", "value": turn.answer})
            kinds.append(turn.kind)
    images = [picture_name(index) for index, _ in parts if index is not None]
    record: Record = {"id": name, "conversations": conversations, "kinds": kinds}
    if images:
        record["image"] = images[0] if len(images) == 1 else images
    return record


def write_json(records: Iterator[Record] | list[Record], path: Path) -> int:
    """One JSON list, written whole or not at all; returns the number of records."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    number = 0
    with draft.open("w") as file:
        file.write("[\n")
        for record in records:
            file.write((",\n" if number else "") + json.dumps(record))
            number += 1
        file.write("\n]\n")
    os.replace(draft, path)
    return number


def read_json(path: Path) -> list[Record]:
    """The records of a training file."""
    records: list[Record] = json.loads(path.read_text())
    return records


def images_of(record: Record) -> list[str]:
    """The picture files of a record, in order; empty for text only."""
    image = record.get("image", [])
    return [image] if isinstance(image, str) else list(image)
