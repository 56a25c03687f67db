"""Sources: COCO, JSON lines and drawn scenes; each wrong record with its number and a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llava_core.training.records import DataError
from training.generation.source import read_source

BOX = {"category": "dog", "bbox": [0.1, 0.2, 0.3, 0.4]}
ROW: dict[str, Any] = {"id": "a", "image": "a.jpg", "captions": ["A  dog."], "instances": [BOX]}


def lines(folder: Path, *rows: object) -> str:
    path = folder / "context.jsonl"
    texts = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(texts))
    return str(path)


def test_a_line_becomes_a_subject(tmp_path: Path) -> None:
    source = read_source(lines(tmp_path, ROW, "", {**ROW, "id": 7, "instances": []}), None, 0)
    first, second = source.subjects
    assert (first.id, first.image, first.captions) == ("a", "a.jpg", ("A dog.",))
    assert first.instances[0].category == "dog"
    assert first.instances[0].box == (0.1, 0.2, 0.3, 0.4)
    assert (second.number, second.id, second.instances) == (1, "7", ())
    assert not source.problems


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in ROW.items() if name != key}


def boxed(*box: object) -> dict[str, Any]:
    return {**ROW, "instances": [{"category": "dog", "bbox": list(box)}]}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{", "it is not JSON"),
        ("[1]", "it is [1], expected"),
        (without("id"), 'its "id" is missing'),
        ({**ROW, "id": " "}, 'its "id" is missing'),
        (without("image"), "'a' has no \"image\""),
        (without("captions"), "'a' has no captions"),
        ({**ROW, "captions": ["A dog.", " "]}, "caption 2 of 'a' is empty"),
        (boxed(10, 20, 200, 100), "lies outside the picture: [10, 20, 200, 100]"),
        (boxed(0.5, 0.1, 0.4, 0.3), "is empty"),
        (boxed(0.5, 0.1, 0.4), "not four numbers"),
        ({**ROW, "instances": [{"bbox": [0, 0, 1, 1]}]}, 'has no "category"'),
        ({**ROW, "id": "first"}, "'first' is a duplicate id: record 0 has it, too"),
    ],
)
def test_a_wrong_line_has_its_number_and_a_reason(tmp_path: Path, row: Any, reason: str) -> None:
    name = lines(tmp_path, {**ROW, "id": "first"}, row, {**ROW, "id": "last"})
    source = read_source(name, None, 0)
    assert [subject.id for subject in source.subjects] == ["first", "last"]
    (problem,) = source.problems
    assert str(problem).startswith("record 1: ") and reason in str(problem)


def test_coco(tmp_path: Path) -> None:
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 200, "height": 100} for n in (4, 9, 5, 6)]
    captions = [
        {"id": n, "image_id": image, "caption": f"Caption {n}."}
        for n, image in ((1, 9), (2, 9), (3, 4), (4, 6))
    ]
    boxes = [
        {"id": 1, "image_id": 9, "category_id": 18, "bbox": [20, 10, 60, 40]},
        {"id": 2, "image_id": 6, "category_id": 18, "bbox": [150, 10, 90, 40]},
    ]
    (tmp_path / "captions.json").write_text(json.dumps({"images": images, "annotations": captions}))
    (tmp_path / "instances.json").write_text(
        json.dumps(
            {"images": images, "annotations": boxes, "categories": [{"id": 18, "name": "dog"}]}
        )
    )
    source = read_source(str(tmp_path / "captions.json"), tmp_path / "instances.json", 0)
    assert [(s.id, s.captions) for s in source.subjects] == [
        ("4", ("Caption 3.",)),
        ("9", ("Caption 1.", "Caption 2.")),
    ]
    assert source.subjects[1].instances[0].box == (0.1, 0.1, 0.4, 0.5)
    assert source.notes == ["1 of 4 pictures have no captions: left out"]
    (problem,) = source.problems
    assert "record 2: the box of a dog of '6' lies outside the picture" in str(problem)


def test_drawn_scenes_are_the_same_for_the_same_seed() -> None:
    assert read_source("scenes:9", None, 3) == read_source("scenes:9", None, 3)
    first = read_source("scenes:20", None, 3).subjects
    assert first[:9] == read_source("scenes:9", None, 3).subjects
    assert len({subject.image for subject in first}) == 20
    assert first[0].image != read_source("scenes:1", None, 4).subjects[0].image


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere.jsonl", "is no source"),
        ("scenes:", "names no number"),
        ("scenes:0", "names no number"),
    ],
)
def test_no_source(name: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_source(name, None, 0)
