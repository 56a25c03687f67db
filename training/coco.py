"""COCO's annotations as one-turn pairs for stage 1, and as context for a teacher without eyes.

``python -m training.coco --captions captions_train2017.json --output pairs.jsonl`` writes a record
for each caption; with ``--instances``, also one for each picture that lists its objects. With
``--context FILE.jsonl`` it writes what the paper shows the teacher instead of the picture, captions
and boxes (table 14 of https://arxiv.org/abs/2304.08485). Annotation format:
https://cocodataset.org/#format-data
"""

from __future__ import annotations

import argparse
import io
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from typing import Any

from pycocotools.coco import COCO

from llava_core.training.records import DataError
from training.entry import interruptible
from training.writing import whole_file

CAPTION_QUESTIONS = (
    "Describe the picture in one sentence.",
    "Say in one sentence what can be seen here.",
    "What does this picture show?",
    "Write a caption for this picture.",
    "Sum up the picture in a single sentence.",
    "Tell me shortly what is going on in the picture.",
    "What would a short title for this photo say?",
    "Put what you see into one sentence.",
)
OBJECT_QUESTIONS = (
    "Which objects are in the picture, and how many of each?",
    "List the objects that you see, with their numbers.",
    "Count the things in this picture, sort by sort.",
    "What objects are there? Give a number for each.",
)
_Row = dict[str, Any]


class Annotations:
    """The captions of a data set's pictures and, where there is a file for them, the objects.

    Raises :class:`llava_core.training.records.DataError` where a file is no COCO annotation file.
    """

    def __init__(self, captions: Path, instances: Path | None = None) -> None:
        self._captions = _open(captions, "caption")
        self._instances = _open(instances, "bbox") if instances else None
        self.pictures: list[_Row] = [row for _, row in sorted(self._captions.imgs.items())]

    @property
    def repeated(self) -> set[int]:
        """Ids that more than one picture of the captions' file has."""
        counts = Counter(row["id"] for row in self._captions.dataset["images"])
        return {name for name, number in counts.items() if number > 1}

    def captions(self, picture: _Row) -> list[tuple[int, str]]:
        """(annotation id, caption) of a picture, in order of ids; empty captions are left out."""
        rows = sorted(self._captions.imgToAnns.get(picture["id"], ()), key=lambda row: row["id"])
        texts = [(row["id"], " ".join(row["caption"].split())) for row in rows]
        return [(number, text) for number, text in texts if text]

    def instances(self, picture: _Row) -> list[_Row]:
        """The objects of a picture in order of ids, each with its ``category``'s name."""
        if self._instances is None:
            return []
        rows = sorted(self._instances.imgToAnns.get(picture["id"], ()), key=lambda row: row["id"])
        return [{**row, "category": self._category(row["category_id"])} for row in rows]

    def _category(self, number: int) -> str:
        found = self._instances.cats.get(number) if self._instances else None
        if found is None:
            raise DataError(
                f"an object is of category {number}, which its file does not name",
                "Load the annotations anew.",
            )
        return str(found["name"])


def _open(path: Path, wanted: str) -> COCO:
    """The file as pycocotools reads it, silently; its annotations have the key ``wanted``."""
    try:
        with redirect_stdout(io.StringIO()):
            found = COCO(str(path))
        missing = [row["id"] for row in found.anns.values() if wanted not in row]
        named = all({"file_name", "width", "height"} <= row.keys() for row in found.imgs.values())
    except (OSError, ValueError, AssertionError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is no COCO annotation file: {error!r}",
            "Name one of captions_*.json or instances_*.json from COCO's annotations.",
        ) from error
    if missing or not found.anns or not named:
        raise DataError(
            f"{path} has {len(found.imgs)} pictures and {len(found.anns)} annotations, "
            f"{len(missing)} of them without {wanted!r}",
            "Give captions_*.json to --captions and instances_*.json to --instances, whole.",
        )
    return found


def pairs(annotations: Annotations, seed: int) -> Iterator[_Row]:
    """A training record for each caption and, with objects, one that counts a picture's objects.

    The question of a record depends on the seed and on its id alone.
    """
    for picture in annotations.pictures:
        for number, caption in annotations.captions(picture):
            name = f"{picture['id']}-{number}"
            yield _pair(name, picture, CAPTION_QUESTIONS, caption, seed)
        counted = count_objects(annotations.instances(picture))
        if counted:
            yield _pair(f"{picture['id']}-objects", picture, OBJECT_QUESTIONS, counted, seed)


def _pair(name: str, picture: _Row, questions: Sequence[str], answer: str, seed: int) -> _Row:
    question = random.Random(f"{seed}:{name}").choice(questions)
    return {
        "id": name,
        "image": picture["file_name"],
        "conversations": [
            {"from": "human", "value": f"<image>\n{question}"},
            {"from": "gpt", "value": answer},
        ],
    }


def count_objects(instances: Sequence[_Row]) -> str:
    """``person: 2, dog: 1``, the most frequent first; crowds, which are not counted, are many."""
    counts = Counter(row["category"] for row in instances)
    crowds = {row["category"] for row in instances if row.get("iscrowd")}
    ordered = sorted(counts, key=lambda name: (name not in crowds, -counts[name], name))
    return ", ".join(f"{name}: {'many' if name in crowds else counts[name]}" for name in ordered)


def contexts(annotations: Annotations) -> Iterator[_Row]:
    """For each picture with captions: ``{"id", "image", "captions", "instances"}``.

    An instance is ``{"category", "bbox": [x1, y1, x2, y2]}``, each 0..1 of width and height.
    """
    for picture in annotations.pictures:
        captions = [text for _, text in annotations.captions(picture)]
        if captions:
            boxes = [
                {"category": row["category"], "bbox": relative_box(row["bbox"], picture)}
                for row in annotations.instances(picture)
            ]
            yield {
                "id": str(picture["id"]),
                "image": picture["file_name"],
                "captions": captions,
                "instances": boxes,
            }


def relative_box(box: Sequence[float], picture: _Row) -> list[float]:
    """COCO's [left, top, width, height] in pixels as [x1, y1, x2, y2] in 0..1, three digits."""
    return [round(min(max(share, 0.0), 1.0), 3) for share in box_shares(box, picture)]


def box_shares(box: Sequence[float], picture: _Row) -> list[float]:
    """COCO's [left, top, width, height] in pixels as [x1, y1, x2, y2], shares of the picture."""
    left, top, width, height = box
    corners = (left, top, left + width, top + height)
    sides = (picture["width"], picture["height"]) * 2
    return [corner / side for corner, side in zip(corners, sides, strict=True)]


def _write(path: Path, rows: Iterator[_Row], files: ExitStack) -> int:
    """One line for each row; the file gets its name when ``files`` closes without an error."""
    file = files.enter_context(whole_file(path))
    number = 0
    for row in rows:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
        number += 1
    return number


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.coco", description=__doc__)
    parser.add_argument("--captions", type=Path, required=True, help="captions_*.json")
    parser.add_argument("--instances", type=Path, help="instances_*.json of the same pictures")
    parser.add_argument("--output", type=Path, required=True, help="the pairs, .jsonl")
    parser.add_argument("--context", type=Path, help="the teacher's context, .jsonl")
    parser.add_argument("--seed", type=int, default=0, help="chooses the questions")
    options = parser.parse_args(arguments)
    for path in (options.output, options.context):
        if path and path.suffix != ".jsonl":
            parser.error(f"{path} is written as JSON lines: give it a name that ends with .jsonl")
    if options.context and options.output.resolve() == options.context.resolve():
        parser.error("--output and --context are two files: give them two names")
    return options


@interruptible("nothing was written.")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 0, or 2 where it cannot run."""
    options = _parse(arguments)
    try:
        annotations = Annotations(options.captions, options.instances)
        with ExitStack() as files:
            number = _write(options.output, pairs(annotations, options.seed), files)
            told = 0
            if options.context:
                told = _write(options.context, contexts(annotations), files)
    except (DataError, OSError) as error:
        print(f"training.coco: {error}", file=sys.stderr)
        return 2
    print(f"{number:,} pairs in {options.output}")
    if options.context:
        print(f"context of {told:,} pictures in {options.context}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
