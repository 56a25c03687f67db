"""COCO's annotations as training pairs and as the teacher's context."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llava_core.training.records import RecordFile, conversation_of
from training.coco import CAPTION_QUESTIONS, OBJECT_QUESTIONS, count_objects, main, relative_box

IMAGES = [
    {"id": 9, "file_name": "9.jpg", "width": 200, "height": 100},
    {"id": 4, "file_name": "4.jpg", "width": 64, "height": 64},
    {"id": 5, "file_name": "5.jpg", "width": 64, "height": 64},
]
CAPTIONS = [
    {"id": 31, "image_id": 9, "caption": "Two dogs run.\n"},
    {"id": 30, "image_id": 9, "caption": " A person  with dogs."},
    {"id": 32, "image_id": 4, "caption": "A quiet café."},
    {"id": 33, "image_id": 4, "caption": "  "},
]
INSTANCES = [
    {"id": 1, "image_id": 9, "category_id": 1, "bbox": [20, 10, 60, 40], "iscrowd": 0},
    {"id": 3, "image_id": 9, "category_id": 18, "bbox": [0, 0, 200.4, 100.2], "iscrowd": 0},
    {"id": 2, "image_id": 9, "category_id": 18, "bbox": [-3, 5, 13, 10], "iscrowd": 0},
]
CATEGORIES = [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    captions = {"images": IMAGES, "annotations": CAPTIONS}
    instances = {"images": IMAGES[:1], "annotations": INSTANCES, "categories": CATEGORIES}
    (tmp_path / "captions.json").write_text(json.dumps(captions))
    (tmp_path / "instances.json").write_text(json.dumps(instances))
    return tmp_path


def run(folder: Path, *more: object, instances: bool = True) -> int:
    words = ["--captions", folder / "captions.json", "--output", folder / "pairs.jsonl", *more]
    if instances:
        words += ["--instances", folder / "instances.json"]
    return main([str(word) for word in words])


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_caption_becomes_a_pair(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, instances=False) == 0
    assert capsys.readouterr().out == f"3 pairs in {folder / 'pairs.jsonl'}\n"
    rows = lines(folder / "pairs.jsonl")
    assert [(row["id"], row["image"], row["conversations"][1]["value"]) for row in rows] == [
        ("4-32", "4.jpg", "A quiet café."),
        ("9-30", "9.jpg", "A person with dogs."),
        ("9-31", "9.jpg", "Two dogs run."),
    ]
    questions = {row["conversations"][0]["value"] for row in rows}
    assert questions <= {f"<image>\n{question}" for question in CAPTION_QUESTIONS}
    for record in RecordFile(folder / "pairs.jsonl", folder / "cache"):
        assert len(conversation_of(record).images) == 1


def test_objects_are_counted_once_for_each_picture(folder: Path) -> None:
    assert run(folder) == 0
    rows = lines(folder / "pairs.jsonl")
    assert [row["id"] for row in rows] == ["4-32", "9-30", "9-31", "9-objects"]
    human, gpt = rows[-1]["conversations"]
    assert human["value"] in {f"<image>\n{question}" for question in OBJECT_QUESTIONS}
    assert gpt["value"] == "dog: 2, person: 1"


def test_crowds_are_many() -> None:
    rows: list[dict[str, Any]] = [
        {"category": "dog", "iscrowd": 0},
        {"category": "dog", "iscrowd": 0},
        {"category": "person", "iscrowd": 1},
        {"category": "cat"},
    ]
    assert count_objects(rows) == "person: many, dog: 2, cat: 1"
    assert count_objects([]) == ""


def test_the_context_is_captions_and_relative_boxes(folder: Path) -> None:
    assert run(folder, "--context", folder / "context.jsonl") == 0
    assert lines(folder / "context.jsonl") == [
        {"id": "4", "image": "4.jpg", "captions": ["A quiet café."], "instances": []},
        {
            "id": "9",
            "image": "9.jpg",
            "captions": ["A person with dogs.", "Two dogs run."],
            "instances": [
                {"category": "person", "bbox": [0.1, 0.1, 0.4, 0.5]},
                {"category": "dog", "bbox": [0.0, 0.05, 0.05, 0.15]},
                {"category": "dog", "bbox": [0.0, 0.0, 1.0, 1.0]},
            ],
        },
    ]
    assert relative_box([1, 2, 3, 4], {"width": 30, "height": 60}) == [0.033, 0.033, 0.133, 0.1]


def test_the_seed_chooses_the_questions(folder: Path) -> None:
    def questions(seed: int) -> list[str]:
        assert run(folder, "--seed", seed) == 0
        return [row["conversations"][0]["value"] for row in lines(folder / "pairs.jsonl")]

    assert questions(1) == questions(1)
    assert len({tuple(questions(seed)) for seed in range(5)}) > 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[1]", "is no COCO annotation file"),
        ("{", "is no COCO annotation file"),
        ('{"images": []}', "has 0 pictures and 0 annotations"),
        (
            json.dumps({"images": IMAGES, "annotations": INSTANCES}),
            "3 of them without 'caption'",
        ),
        (json.dumps({"images": [{"id": 9}], "annotations": CAPTIONS}), "has 1 pictures"),
    ],
)
def test_files_that_are_none(
    folder: Path, content: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "captions.json").write_text(content)
    assert run(folder) == 2
    said = capsys.readouterr()
    assert words in said.err and said.out == ""
    assert sorted(path.name for path in folder.iterdir()) == ["captions.json", "instances.json"]


def test_nothing_is_half_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = {"images": IMAGES[:1], "annotations": INSTANCES, "categories": CATEGORIES[:1]}
    (folder / "instances.json").write_text(json.dumps(broken))
    assert run(folder, "--context", folder / "context.jsonl") == 2
    assert "category 18" in capsys.readouterr().err
    assert not list(folder.glob("*.jsonl*"))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--context", "c.json"], "ends with .jsonl"),
        (["--context", "FOLDER/pairs.jsonl"], "two names"),
    ],
)
def test_names_that_do_not_fit(
    folder: Path, more: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(folder, *(word.replace("FOLDER", str(folder)) for word in more))
    assert words in capsys.readouterr().err
