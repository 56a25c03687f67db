"""ScienceQA's files in every form, compared as whole strings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llava_core.training.records import DataError, RecordFile, conversation_of
from training.scienceqa import FORMATS, convert, main, question_of, read_problems, target_of

PROBLEMS: dict[str, dict[str, Any]] = {
    "1": {
        "question": "Which page is  warm?",
        "choices": ["the red one", "the blue one"],
        "answer": 0,
        "hint": "Look at the pages.",
        "image": "image.png",
        "lecture": "Some colours are warm.\nOthers are cold.",
        "solution": "Red is warm.",
        "split": "train",
    },
    "2": {
        "question": "What is 1 + 1?",
        "choices": ["1", "2", "3"],
        "answer": 1,
        "hint": "",
        "image": None,
        "lecture": "",
        "solution": "",
    },
    "7": {
        "question": "Which is a fish?",
        "choices": ["cod", "cat", "car", "cup", "sun"],
        "answer": 4,
        "hint": "",
        "image": "choice.png",
        "lecture": "",
        "solution": "None, but the key says so. ",
    },
}
SPLITS = {"train": ["7", "1"], "val": ["2"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "problems.json").write_text(json.dumps(PROBLEMS))
    (tmp_path / "pid_splits.json").write_text(json.dumps(SPLITS))
    return tmp_path


WARM = "Question: Which page is warm?", "Context: Look at the pages."
OPTIONS = "Options: (A) the red one (B) the blue one"
LECTURE = "Some colours are warm.\nOthers are cold."


@pytest.mark.parametrize(
    ("form", "question", "answer"),
    [
        (
            "QCM-LEA",
            f"{WARM[0]}\n{WARM[1]}\n{OPTIONS}",
            f"{LECTURE} Red is warm. The answer is A.",
        ),
        ("CQM-A", f"{WARM[1]}\n{WARM[0]}\n{OPTIONS}", "The answer is A."),
        (
            "QCM-LEPA",
            f"{WARM[0]}\n{WARM[1]}\n{OPTIONS}",
            f"LECTURE: {LECTURE}\nSOLUTION: Red is warm.\n###\nANSWER: A.",
        ),
    ],
)
def test_records_are_these_strings(folder: Path, form: str, question: str, answer: str) -> None:
    output = folder / "out" / "train.json"
    assert convert(folder, "train", form, output) == 2
    records = json.loads(output.read_text())
    assert [record["id"] for record in records] == ["7", "1"]
    assert records[1] == {
        "id": "1",
        "image": "1/image.png",
        "conversations": [
            {"from": "human", "value": "<image>\n" + question},
            {"from": "gpt", "value": answer},
        ],
    }


def test_text_only_has_no_picture_and_absent_parts_are_left_out(folder: Path) -> None:
    output = folder / "val.json"
    assert main([str(folder), "--split", "val", "--output", str(output)]) == 0
    assert json.loads(output.read_text()) == [
        {
            "id": "2",
            "conversations": [
                {
                    "from": "human",
                    "value": "Question: What is 1 + 1?\nContext: N/A\nOptions: (A) 1 (B) 2 (C) 3",
                },
                {"from": "gpt", "value": "The answer is B."},
            ],
        }
    ]
    (problem,) = read_problems(folder, "val")
    assert target_of(problem, "LEPA") == "###\nANSWER: B."
    last = next(read_problems(folder, "train"))
    assert question_of(last).endswith("(D) cup (E) sun")
    assert target_of(last, "LEPA") == "SOLUTION: None, but the key says so.\n###\nANSWER: E."


@pytest.mark.parametrize("form", FORMATS)
def test_every_form_can_be_trained_on(folder: Path, form: str) -> None:
    output = folder / "train.json"
    convert(folder, "train", form, output)
    for record in RecordFile(output, folder / "cache"):
        assert len(conversation_of(record).images) == 1


def test_unknown_names_are_told_with_the_known_ones(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = folder / "out.json"
    assert main([str(folder), "--split", "dev", "--output", str(output)]) == 2
    assert "no split 'dev'" in (said := capsys.readouterr().err) and "train, val" in said
    with pytest.raises(SystemExit, match="2"):
        main([str(folder), "--format", "QCM-X", "--output", str(output)])
    assert "QCM-LEPA" in capsys.readouterr().err
    assert main([str(folder / "gone"), "--output", str(output)]) == 2
    assert "pid_splits.json cannot be read" in capsys.readouterr().err
    assert not output.exists() and not list(folder.glob("*.part"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"answer": 2}, "names choice 2 of 2"),
        ({"answer": -1}, "names choice -1"),
        ({"choices": []}, "of 0"),
        ({"choices": None}, "lacks its question"),
        ({"answer": "x"}, "lacks its question"),
    ],
)
def test_broken_problems_are_named(folder: Path, change: dict[str, Any], words: str) -> None:
    (folder / "problems.json").write_text(json.dumps({"1": {**PROBLEMS["1"], **change}}))
    (folder / "pid_splits.json").write_text(json.dumps({"train": ["1"]}))
    with pytest.raises(DataError, match=f"problem 1 .*{words}"):
        list(read_problems(folder, "train"))


def test_a_split_of_another_release(folder: Path) -> None:
    (folder / "pid_splits.json").write_text(json.dumps({"train": ["9"]}))
    with pytest.raises(DataError, match="problem 9 of split 'train' is not in"):
        convert(folder, "train", "QCM-A", folder / "out.json")
    assert not (folder / "out.json").exists()
