"""What a teacher is told about: pictures in symbols, from COCO, from JSON lines, or drawn.

A source is COCO's captions (``.json``, with ``--instances`` for the boxes), captions and boxes as
JSON lines (``.jsonl``, what ``training.coco --context`` writes), or ``scenes:NUMBER`` of the drawn
world. All of it is checked before anything is asked.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llava_core.training.records import DataError
from training.coco import Annotations, box_shares
from training.instructions import picture_name
from training.questions import NOTHING_KNOWN, describe
from training.scenes import Scene, sample_scene

SCENES = "scenes:"
SLACK = 0.02
"""So far, as a share of the picture, a box may reach out of it; people draw by hand."""
_SHAPE = '{"id", "image", "captions": [...], "instances": [{"category", "bbox": [x1, y1, x2, y2]}]}'


@dataclass(frozen=True)
class Instance:
    """A thing and the box around it: left, top, right, bottom in 0..1 of width and height."""

    category: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Subject:
    """One picture in symbols; ``number`` is its place in the source, counted from 0."""

    number: int
    id: str
    image: str
    captions: tuple[str, ...]
    instances: tuple[Instance, ...] = ()
    scene: Scene | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Problem:
    """A record of a source that cannot be used."""

    number: int
    reason: str

    def __str__(self) -> str:
        return f"record {self.number}: {self.reason}"


@dataclass
class Source:
    """The subjects of a source, and what is wrong with the rest; ``notes`` are for people."""

    subjects: list[Subject] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_source(name: str, instances: Path | None, seed: int) -> Source:
    """The source that ``name`` names; ``seed`` draws scenes.

    Raises :class:`llava_core.training.records.DataError` where it cannot be read as a whole;
    single records that are wrong are among its ``problems``.
    """
    if name.startswith(SCENES):
        return _drawn(name.removeprefix(SCENES), seed)
    path = Path(name)
    if path.suffix not in (".json", ".jsonl") or not path.is_file():
        raise DataError(
            f"{name} is no source",
            "Name COCO's captions (.json), captions and boxes as JSON lines (.jsonl), or "
            f"{SCENES}NUMBER for drawn ones.",
        )
    source = _coco(path, instances) if path.suffix == ".json" else _lines(path)
    if not source.subjects and not source.problems:
        raise DataError(f"{name} holds no records", "Name a file that has some.")
    return source


def _drawn(number: str, seed: int) -> Source:
    if not number.isdecimal() or not int(number):
        raise DataError(f"{SCENES}{number} names no number of scenes", f"Write {SCENES}100.")
    rng = random.Random(seed)
    return Source([_subject_of(index, sample_scene(rng), seed) for index in range(int(number))])


def _subject_of(index: int, scene: Scene, seed: int) -> Subject:
    """What people and boxes would say of a drawn scene. Each seed has its own names."""
    instances = []
    for thing in scene.things:
        x, y, radius = thing.x, thing.y, thing.radius
        box = _rounded((x - radius, y - radius, x + radius, y + radius))
        instances.append(Instance(thing.kind, box))
    caption = describe(scene) if scene.things else NOTHING_KNOWN
    name, image = f"s{seed}-{index}", f"s{seed}-{picture_name(index)}"
    return Subject(index, name, image, (caption,), tuple(instances), scene)


def _coco(path: Path, instances: Path | None) -> Source:
    annotations = Annotations(path, instances)
    source = Source()
    without = 0
    repeated = annotations.repeated
    for number, picture in enumerate(annotations.pictures):
        captions = tuple(text for _, text in annotations.captions(picture))
        without += not captions
        if not captions:
            continue
        found = [
            {"category": row["category"], "bbox": box_shares(row["bbox"], picture)}
            for row in annotations.instances(picture)
        ]
        row = {
            "id": picture["id"],
            "image": picture["file_name"],
            "captions": list(captions),
            "instances": found,
        }
        if picture["id"] in repeated:
            source.problems.append(Problem(number, f"the id {picture['id']} stands there twice"))
        else:
            _take(source, number, row)
    if without:
        source.notes.append(
            f"{without:,} of {len(annotations.pictures):,} pictures have no captions: left out"
        )
    return source


def _lines(path: Path) -> Source:
    source, seen = Source(), dict[str, int]()
    for number, line in _numbered(path):
        try:
            row = json.loads(line)
        except ValueError as error:
            source.problems.append(Problem(number, f"it is not JSON: {error}"))
            continue
        name = str(row.get("id")) if isinstance(row, dict) else ""
        if name and name in seen:
            reason = f"{name!r} is a duplicate id: record {seen[name]} has it, too"
            source.problems.append(Problem(number, reason))
            continue
        seen[name] = number
        _take(source, number, row)
    return source


def _numbered(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that are not empty, counted from 0."""
    with path.open("rb") as file:
        yield from enumerate(line for line in file if line.strip())


def _take(source: Source, number: int, row: Any) -> None:
    try:
        source.subjects.append(subject_of_row(number, row))
    except ValueError as error:
        source.problems.append(Problem(number, str(error)))


def subject_of_row(number: int, row: Any) -> Subject:
    """A subject from its JSON object. Raises ``ValueError`` with what is wrong."""
    if not isinstance(row, dict):
        raise ValueError(f"it is {json.dumps(row)[:40]}, expected {_SHAPE}")
    name, image = row.get("id"), row.get("image")
    if not isinstance(name, (str, int)) or isinstance(name, bool) or not str(name).strip():
        raise ValueError('its "id" is missing')
    if not isinstance(image, str) or not image.strip():
        raise ValueError(f'{name!r} has no "image", the name of its picture\'s file')
    captions = _captions(row.get("captions"), str(name))
    instances = row.get("instances", [])
    if not isinstance(instances, list):
        raise ValueError(f'"instances" of {name!r} is no list')
    boxes = tuple(_instance(one, str(name)) for one in instances)
    return Subject(number, str(name), image, captions, boxes)


def _captions(captions: Any, name: str) -> tuple[str, ...]:
    if not isinstance(captions, list) or not captions:
        raise ValueError(f"{name!r} has no captions")
    texts = [" ".join(text.split()) if isinstance(text, str) else "" for text in captions]
    if not all(texts):
        raise ValueError(f"caption {texts.index('') + 1} of {name!r} is empty")
    return tuple(texts)


def _instance(one: Any, name: str) -> Instance:
    category = one.get("category") if isinstance(one, dict) else None
    box = one.get("bbox") if isinstance(one, dict) else None
    if not isinstance(category, str) or not category.strip():
        raise ValueError(f'a thing of {name!r} has no "category"')
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(side) for side in box):
        raise ValueError(f"the box of a {category} of {name!r} is {box!r}, not four numbers")
    left, top, right, bottom = box
    if min(box) < -SLACK or max(box) > 1 + SLACK:
        raise ValueError(
            f"the box of a {category} of {name!r} lies outside the picture: {box!r}, "
            "expected left, top, right, bottom as shares in 0..1"
        )
    if left >= right or top >= bottom:
        raise ValueError(f"the box of a {category} of {name!r} is empty: {box!r}")
    return Instance(" ".join(category.split()), _rounded(box))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _rounded(box: Iterable[float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (round(min(max(side, 0.0), 1.0), 3) for side in box)
    return left, top, right, bottom


def categories(subjects: Sequence[Subject]) -> set[str]:
    """All categories that occur."""
    return {instance.category for subject in subjects for instance in subject.instances}
