"""The bundled checkpoints evaluated end to end, and the page of their results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llava_core.training.records import DataError
from training.evals.comparison import grouped, overlaps
from training.evals.contamination import digests_of, pictures_of
from training.evals.results import Figure, Result, Sample, read_result, write_result
from training.evaluate import main
from training.picture_set import make_set
from training.questions import TYPES

CHECKPOINTS = Path(__file__).resolve().parents[3] / "assets" / "checkpoints"


def test_both_checkpoints_from_scenes_to_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = []
    for stage in (1, 2):
        results.append(tmp_path / f"{stage}.json")
        model = CHECKPOINTS / f"llava-tiny-stage{stage}"
        words = ["scenes", "--model", model, "--per-type", 2, "--seed", 5]
        words += ["--out", tmp_path / f"{stage}.jsonl", "--result", results[-1]]
        assert main([str(word) for word in words]) == 0
    first, second = (read_result(path) for path in results)
    assert second.figures["mean"].percent > first.figures["mean"].percent
    assert second.figures["mean"].percent > 80
    assert second.figures["mean, other picture"].percent < 40
    assert set(TYPES) <= set(second.figures)
    answers = (tmp_path / "2.jsonl").read_text().splitlines()
    assert len(answers) == 2 * 2 * len(TYPES)
    page = tmp_path / "page.html"
    words = ["report", *results, "--output", page, "--app", tmp_path / "data"]
    assert main([str(word) for word in words]) == 0
    html = page.read_text()
    assert "llava-tiny-stage2" in html and "follow up" in html and "Not comparable" not in html
    shown = json.loads((tmp_path / "data" / "evaluation.json").read_text())
    assert [row["model"] for row in shown] == ["llava-tiny-stage2", "llava-tiny-stage1"]


def test_an_interrupted_evaluation_asks_only_for_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "answers.jsonl"
    words = ["scenes", "--model", str(CHECKPOINTS / "llava-tiny-stage2"), "--per-type", "1"]
    words += ["--out", str(out), "--result", str(tmp_path / "r.json")]
    assert main(words) == 0
    whole, result = out.read_bytes(), read_result(tmp_path / "r.json")
    lines = whole.decode().splitlines(keepends=True)
    out.write_text("".join(lines[:-3]) + lines[-3][:20])  # killed while it wrote
    assert main(words) == 0
    assert out.read_bytes() == whole
    assert read_result(tmp_path / "r.json").figures == result.figures


def result(model: str, percent: float, **changes: object) -> Result:
    given: dict[str, object] = {
        "kind": "judge",
        "model": model,
        "headline": "all",
        "figures": {"all": Figure(percent, 30, percent - 2, percent + 2)},
        "settings": {"judge": "a"},
        "data": {"questions": "1"},
    }
    return Result(**(given | changes))  # type: ignore[arg-type]


def test_what_is_measured_otherwise_is_not_compared() -> None:
    groups = grouped(
        [
            result("low", 60),
            result("high", 80),
            result("other judge", 90, settings={"judge": "b"}),
            result("other questions", 70, data={"questions": "2"}),
        ]
    )
    assert [[each.model for each in group.results] for group in groups] == [
        ["high", "low"],
        ["other judge"],
        ["other questions"],
    ]
    assert groups[1].differences(groups[0]) == ["other judge (a there, b here)"]
    assert groups[2].differences(groups[0]) == ["other questions"]


def test_the_page_says_what_cannot_be_compared_and_escapes(tmp_path: Path) -> None:
    sample = Sample("<b>Q</b>", "<script>alert(1)</script>", "x", "none.png", right=False)
    files = []
    for number, each in enumerate(
        (result("<i>m</i>", 60, samples=[sample]), result("n", 90, settings={"judge": "<b>"}))
    ):
        files.append(tmp_path / f"{number}.json")
        write_result(files[-1], each)
    page = tmp_path / "page.html"
    assert main(["report", *map(str, files), "--output", str(page)]) == 0
    html = page.read_text()
    assert "Not comparable with Judged answers (1): other judge" in html
    assert "<script>alert" not in html and "<i>m</i>" not in html and "&lt;script&gt;" in html


def test_training_pictures_among_the_test_pictures_are_found(tmp_path: Path) -> None:
    make_set(tmp_path / "set", number=4, held_out=2, seed=1)
    images = tmp_path / "set" / "pictures"
    trained = pictures_of(tmp_path / "set" / "conversations.json", images, tmp_path / "cache")
    assert len(trained) >= 3
    tested = digests_of([trained[0], images / "000005.png"])
    found = overlaps([result("m", 50, pictures=tested)], digests_of(trained))
    assert [(each.shared, each.tested) for each in found] == [(1, 2)]
    with pytest.raises(DataError, match="none of the"):
        pictures_of(tmp_path / "set" / "conversations.json", tmp_path, tmp_path / "cache")


def test_what_is_no_result_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    for text, words in (
        ("[]", "no result"),
        ('{"kind": "judge", "format": 99}', "another format"),
        ('{"kind": "judge", "format": 1, "figures": {"all": {}}}', "not whole"),
        ("{", "not JSON"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=words):
            read_result(path)
