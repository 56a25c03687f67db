"""A training set with one of each problem, and the clean rest of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from llava_core.training.records import Record
from tests.pictures import png
from training.check import main
from training.checking import KINDS, answer_keys, mend

ROOT = Path(__file__).resolve().parents[2]


def record(name: object, *turns: str, image: Any = "red.png", **more: Any) -> dict[str, Any]:
    """Human and gpt in turn, as given."""
    conversations = [
        {"from": "gpt" if position % 2 else "human", "value": value}
        for position, value in enumerate(turns)
    ]
    found = {"id": name, "image": image, "conversations": conversations, **more}
    return {key: value for key, value in found.items() if value is not None}


ASK = "<image>\nWhat colour is it?"
RECORDS: list[Any] = [
    record("good", ASK, "It is red.", "Is it red?", "Yes.", model="kept as it is"),
    record("text", "Hello.", "Hello!", image=None),
    record("two", "<image> or <image>?", "The first.", image=["red.png", "blue.png"]),
    record("gone", ASK, "Gone.", image="gone.png"),
    record("cut", ASK, "Cut off.", image="cut.png"),
    record("out", ASK, "Out.", image="../red.png"),
    record("roles", ASK),
    record("silent", ASK, " "),
    record("mute", "\n", "Yes.", image=None),
    record("many", "<image><image>Q", "One picture."),
    record("none", "What is this?", "A red page."),
    record("long", ASK, "red " * 400),
    record("good", ASK, "Another id would do."),
    record("same", ASK, "It is red."),
    ["no object"],
    record("gone", ASK, "The second id, kept.", image="blue.png"),
    record("again", ASK, "Blue.", "And?", "Blue.", "And?", "Blue.", image="blue.png"),
    {"id": "x", "conversations": "no list"},
    record("text", "<image>Mended, yet double", "B", image=None),
    record("bare", "Mendable, were it not gone", "B", image="gone.png"),
    record("half a character", ASK, "Half: \ud83d"),
    record("odd name", ASK, "A", image="a\0b.png"),
    record("long name", ASK, "B", image="x" * 300),
    record("folder", ASK, "C", image="."),
]
EXPECTED = {
    (3, "missing picture"),
    (4, "broken picture"),
    (5, "missing picture"),
    (6, "roles"),
    (7, "empty answer"),
    (8, "empty question"),
    (9, "placeholders"),
    (10, "placeholders"),
    (11, "answer too long"),
    (12, "duplicate id"),
    (13, "duplicate answer"),
    (14, "unreadable"),
    (15, "duplicate id"),
    (17, "unreadable"),
    (18, "placeholders"),
    (18, "duplicate id"),
    (19, "placeholders"),
    (19, "missing picture"),
    (20, "unreadable"),
    (21, "missing picture"),
    (22, "missing picture"),
    (23, "missing picture"),
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The set as JSON lines, with its pictures in a folder beside it."""
    images = tmp_path / "images"
    images.mkdir()
    for colour in ("red", "blue"):
        (images / f"{colour}.png").write_bytes(png(colour, (64, 64)))
    (images / "cut.png").write_bytes(png("red", (64, 64))[:-30])
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in RECORDS))
    return path


def run(data: Path, *more: object) -> int:
    images = ("--images", data.parent / "images", "--max-tokens", 300, "--workers", 1)
    return main([str(word) for word in (data, *images, *more)])


def reported(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_problem_is_found_and_nothing_else(data: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.jsonl"
    assert run(data, "--report", report) == 1
    found = reported(report)
    assert {(one["record"], one["kind"]) for one in found} == EXPECTED
    assert len(found) == len(EXPECTED)
    ids = {one["record"]: one["id"] for one in found}
    assert ids[3] == "gone" and ids[14] == ""
    assert all(one["detail"] for one in found)


def test_the_clean_rest_is_clean(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fixed = tmp_path / "fixed.jsonl"
    assert run(data, "--fix", fixed) == 1
    said = capsys.readouterr().out
    kept = reported(fixed)
    assert [one["id"] for one in kept] == ["good", "text", "two", "none", "gone", "again"]
    assert kept[0] == RECORDS[0]
    assert kept[3]["conversations"][0]["value"] == "<image>\nWhat is this?"
    assert "6 records written" in said and "1 of them with <image>" in said
    assert "5 dropped: missing picture" in said and "3 dropped: unreadable" in said
    assert run(fixed) == 0
    assert "No problems" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.part"))


def test_the_totals(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = tmp_path / "small.json"
    small.write_text(json.dumps(RECORDS[:3]))
    assert run(small) == 0
    said = capsys.readouterr().out
    rows = {line.split("│")[1].strip(): line for line in said.splitlines() if line.count("│") > 3}
    assert "3 records" in said
    assert rows["pictures"].split("│")[2].strip() == "3"
    assert rows["text only"].split("│")[2].strip() == "1"
    numbers = [int(cell) for cell in rows["tokens"].split("│")[2:-1]]
    assert numbers[0] > 3 * 64 and numbers[1] < 64 < numbers[2] < 128 < numbers[4]


def test_many_problems_are_cut_on_the_screen_only(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [record(str(i), f"<image>{i}?", "A", image="gone.png") for i in range(600)]
    data.write_text("".join(json.dumps(one) + "\n" for one in records))
    report = tmp_path / "report.jsonl"
    assert run(data, "--report", report, "--workers", 2) == 1
    said = capsys.readouterr().out
    assert said.count("missing picture: ") == 20 and "and 580 more: missing picture" in said
    assert [one["record"] for one in reported(report)] == list(range(600))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gone.json"], "not a .json or .jsonl file"),
        (["DATA", "--model", "nowhere"], "no folder nowhere"),
        (["DATA", "--model", "docs"], "docs holds no tokenizer"),
        (["DATA", "--template", "odd"], "no template 'odd'"),
        (["DATA", "--images", "nowhere"], "nowhere is not a folder"),
        (["DATA", "--max-tokens", "0"], "at least 1"),
        (["DATA", "--fix", "DATA"], "would be overwritten"),
        (["DATA", "--fix", "a.jsonl", "--report", "./a.jsonl"], "would be overwritten"),
        (["DATA", "--fix", "a.json"], "ends with .jsonl"),
    ],
)
def test_what_cannot_run_ends_with_2(
    data: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main([str(data) if word == "DATA" else word for word in words])
    except SystemExit as error:
        status = int(str(error.code))
    assert status == 2 and message in capsys.readouterr().err


def test_a_broken_list_ends_with_2_and_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "data.json"
    path.write_text(json.dumps(RECORDS)[:-20])
    assert main([str(path)]) == 2
    assert "is broken at line 1, byte" in capsys.readouterr().err


def test_ctrl_c_leaves_no_half_file(data: Path, tmp_path: Path) -> None:
    line = json.dumps(record("a", ASK, "It is red."))
    data.write_text((line + "\n") * 100_000)
    command = [sys.executable, "-m", "training.check", str(data), "--images", f"{tmp_path}/images"]
    process = subprocess.Popen(
        [*command, "--fix", f"{tmp_path}/out/fixed.jsonl", "--workers", "2"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    while not list(tmp_path.glob("out/*.part")):
        assert process.poll() is None
        time.sleep(0.1)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert b"nothing was written" in said
    assert not list((tmp_path / "out").iterdir())


def test_only_one_picture_without_any_placeholder_is_mended() -> None:
    bare = record("a", "Q", "A", "R", "B")
    mended = mend(bare)
    assert mended is not None and bare["conversations"][0]["value"] == "Q"
    values = [turn["value"] for turn in mended["conversations"]]
    assert values == ["<image>\nQ", "A", "R", "B"]
    for other in (
        record("a", "<image>Q", "A"),
        record("a", "Q", "A", image=None),
        record("a", "Q", "A", image=["a", "b"]),
    ):
        assert mend(other) is None


def test_answers_are_told_apart_by_picture_question_and_text() -> None:
    def keys(image: str, question: str, answer: str) -> tuple[int, ...]:
        images = (image,) if image else ()
        return answer_keys(Record("x", images, (("human", question), ("gpt", answer))))

    first = keys("a", "<image>\nQ", "A")
    assert first == keys("a", "Q\n<image>", "A")
    others = [keys("b", "Q", "A"), keys("a", "R", "A"), keys("a", "Q", "B")]
    assert len({first, *others}) == 4
    assert keys("", "Q", "A") == ()
    assert len(KINDS) == len(set(KINDS))
