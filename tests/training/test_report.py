"""The page of a run: what it shows is what the run has told, texts stay texts, curves fit."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from training.report import main
from training.report_chart import (
    MOST_POINTS,
    SIDE,
    Axis,
    Line,
    chart,
    linear_axis,
    number_words,
    thinned,
    value_axis,
)
from training.report_data import Point, ReportError, read_run, read_runs

EVIL = '<script>alert("x")</script><img src=x onerror=y> & "\' </title></style>'


class Reader(HTMLParser):
    """What a browser would make of the page: its tags with attributes, and its texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data)

    def of(self, kind: str) -> list[dict[str, str]]:
        """Attributes of the tags of a class."""
        found = (attrs for _, attrs in self.tags)
        return [attrs for attrs in found if kind in attrs.get("class", "").split()]


def told(
    step: int, said: str, question: str = "What?", reference: str = "A cup."
) -> dict[str, Any]:
    return {
        "step": step,
        "record": "r1",
        "question": question,
        "answer": said,
        "reference": reference,
    }


def make_run(folder: Path, metrics: list[dict[str, Any]], *answers: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in (("metrics.jsonl", metrics), ("answers.jsonl", list(answers))):
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def losses(*values: float) -> list[dict[str, Any]]:
    return [
        {"step": 10 * number, "minutes": number / 2, "loss": value, "tokens_per_second": 1000.0}
        for number, value in enumerate(values, 1)
    ]


def report(tmp_path: Path, *runs: Path) -> Reader:
    output = tmp_path / "page.html"
    assert main([*map(str, runs), "--output", str(output)]) == 0
    return Reader(output.read_text("utf-8"))


def test_the_page_tells_the_last_figures_and_the_recipe(tmp_path: Path) -> None:
    lines = [*losses(2.5, 1.25), {"step": 20, "minutes": 1.0, "validation_loss": 1.75}]
    run = make_run(tmp_path / "mine", lines)
    (run / "recipe.json").write_text(
        '{"train": {"seed": 7, "lora": null}, "data": [{"path": "d"}]}'
    )
    (run / "done").touch()
    texts = report(tmp_path, run).texts
    for shown in (
        "mine",
        "1.25",
        "at first 2.5",
        "1.75",
        "1,000",
        "train.seed",
        "7",
        "data.0.path",
    ):
        assert shown in texts
    assert "finished, 20 steps, 1.0 minutes of training" in texts
    assert "train.lora" not in texts


def test_each_step_has_its_values_to_be_pointed_at(tmp_path: Path) -> None:
    lines = [*losses(2.5, 1.25), {"step": 20, "minutes": 1.0, "validation_loss": 1.75}]
    texts = report(tmp_path, make_run(tmp_path / "run", lines)).texts
    assert "step 10\nloss 2.5" in texts
    assert "step 20\nloss 1.25\nvalidation loss 1.75" in texts


def test_right_answers_are_marked_as_training_counts_them(tmp_path: Path) -> None:
    said = [told(10, "A dog."), told(20, "a  CUP"), told(30, "A cup."), told(40, "A cup.")]
    read = report(tmp_path, make_run(tmp_path / "run", losses(1.0), *said))
    (strip,) = [at for at, (_, attrs) in enumerate(read.tags) if attrs.get("class") == "strip"]
    squares = [attrs.get("class") for tag, attrs in read.tags[strip + 1 :] if tag == "i"]
    assert squares == [None, "right", "right", "right"]
    rows = [text for text in read.texts if text.startswith("step") and "\n" not in text]
    assert rows == ["step", "step", "step 10", "step 20", "steps 30 to 40"]  # two axes first
    assert "In the data: A cup. (r1)" in read.texts
    assert "At the last step 1 of 1 are word for word as in the data." in read.texts


def test_many_changing_answers_are_folded_but_none_is_lost(tmp_path: Path) -> None:
    said = [told(step, f"answer {step}") for step in range(1, 21)]
    read = report(tmp_path, make_run(tmp_path / "run", losses(1.0), *said))
    assert "14 earlier" in read.texts
    assert [text for text in read.texts if text.startswith("answer ")] == [
        f"answer {step}" for step in range(1, 21)
    ]


def test_texts_are_never_markup(tmp_path: Path) -> None:
    lines = [{"step": 1, "minutes": 0.1, "loss": 1.0, EVIL: 2.0}]
    run = make_run(tmp_path / "run<b>&", lines, told(1, EVIL, EVIL, EVIL))
    other = make_run(tmp_path / "other", lines)
    (run / "recipe.json").write_text(json.dumps({EVIL: EVIL, "list": [EVIL]}))
    for runs in ((run,), (run, other)):
        read = report(tmp_path, *runs)
        assert not {"script", "img"} & {tag for tag, _ in read.tags}
        names = {name for _, attrs in read.tags for name in attrs}
        assert not {name for name in names if name.startswith("on")} | {"src", "href"} & names
        assert "".join(read.texts).count(EVIL) >= 5


def test_a_run_that_is_going_on_is_shown_so_far(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", losses(2.0, 1.0), told(20, "A cup."))
    for name in ("metrics.jsonl", "answers.jsonl"):
        with (run / name).open("a") as file:
            file.write('{"step": 30, "loss": 0.5, "answer": "é')
    texts = report(tmp_path, run).texts
    assert "not finished, 20 steps, 1.0 minutes of training" in texts
    with (run / "metrics.jsonl").open("a") as file:  # a whole line, but not yet its end
        file.write('"}')
    assert read_run(run, "run").steps == 20


def test_a_line_about_the_same_step_replaces_the_earlier(tmp_path: Path) -> None:
    lines = [*losses(2.0, 1.0), *losses(2.0, 0.5)]
    run = make_run(tmp_path / "run", lines, told(10, "A dog."), told(10, "A cup."))
    found = read_run(run, "run")
    assert found.figures["loss"] == (Point(10, 2.0), Point(20, 0.5))
    assert [said.text for said in found.asked[0].answers] == ["A cup."]


def test_a_loss_that_is_no_number_is_told_and_not_drawn(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", losses(2.0, math.nan))
    read = report(tmp_path, run)
    assert "nan" in read.texts
    drawn = " ".join(attrs.get("d", "") for _, attrs in read.tags)
    assert drawn and "nan" not in drawn


def test_runs_are_compared_under_names_that_tell_them_apart(tmp_path: Path) -> None:
    names = ("a/stage1", "b/stage1", "c")
    runs = [
        make_run(tmp_path / name, losses(2.0, value))
        for name, value in zip(names, (1, 2, 3), strict=True)
    ]
    for run, seed in zip(runs, (1, 2, 3), strict=True):
        (run / "recipe.json").write_text(json.dumps({"seed": seed, "epochs": 5}))
    assert [run.name for run in read_runs(runs)] == [str(runs[0]), str(runs[1]), "c"]
    read = report(tmp_path, *runs)
    assert "c: loss" in read.texts and "the same in all: 1" in read.texts
    assert {"c0", "c1", "c2"} == {
        each for attrs in read.of("curve") for each in attrs["class"].split() if len(each) == 2
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "has no metrics.jsonl. Name the output folder of a run"),
        ("", "has no figures yet"),
        ('{"step": 10, "loss"', "has no figures yet"),
        ("[]\n{}\n", "has no figures yet"),
    ],
)
def test_without_figures_there_is_no_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "metrics.jsonl").write_text(content)
    output = tmp_path / "page.html"
    assert main([str(tmp_path), "--output", str(output)]) == 2
    assert message in capsys.readouterr().err
    assert not output.exists()


def test_a_broken_recipe_is_told(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", losses(1.0))
    (run / "recipe.json").write_text("{")
    with pytest.raises(ReportError, match=r"recipe\.json is not JSON"):
        read_run(run, "run")


def test_a_page_is_html(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "--output", "report.pdf"])
    assert ended.value.code == 2 and "is no page" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("values", "low", "high", "is_log"),
    [
        ([0.032, 0.61], 0.02, 1.0, True),
        ([0.9, 2.0], 0.5, 2.0, False),
        ([0.0, 2.0], 0.0, 2.0, False),
        ([1.0], 0.0, 1.0, False),
        ([0.0], 0.0, 1.0, False),
        ([-3.0], -3.0, -2.0, False),
        ([1e-9, 1e3], 1e-9, 1e3, True),
    ],
)
def test_axes_hold_their_values_and_few_ticks(
    values: list[float], low: float, high: float, is_log: bool
) -> None:
    axis = value_axis(values)
    assert axis.is_log == is_log
    assert axis.low <= min(values) and axis.high >= max(values)
    assert all(-1e-9 <= axis.share(value) <= 1 + 1e-9 for value in (*values, *axis.ticks))
    assert 2 <= len(axis.ticks) <= 14
    if is_log:
        assert (axis.low, axis.high) == pytest.approx((low, high))


def test_shares_of_an_axis() -> None:
    assert linear_axis([0.0, 10.0]).share(5.0) == 0.5
    assert Axis(0.01, 1.0, (), is_log=True).share(0.1) == pytest.approx(0.5)


def test_long_curves_are_thinned_to_means() -> None:
    points = [Point(step, float(step % 2)) for step in range(1, 10_001)]
    thin = thinned([Point(0, math.inf), *points])
    assert len(thin) == MOST_POINTS and thin[-1].step == 10_000
    assert {point.value for point in thin[:-1]} <= {12 / 25, 13 / 25}


def test_a_curve_lies_within_its_plot() -> None:
    points = tuple(Point(step, 5.0 / step) for step in range(1, 300, 7))
    drawn = chart("loss", [Line("loss", points, 0), Line("held out", points[:1], 1, dashed=True)])
    places = re.search(r'class="curve c0" d="M([^"]*)"', drawn)
    assert places
    numbers = [float(number) for number in re.findall(r"[\d.]+", places[1])]
    assert len(numbers) == 2 * len(points) and min(numbers) >= 0 and max(numbers) <= SIDE
    assert chart("loss", [Line("loss", (Point(1, math.nan),), 0)]) == ""


@pytest.mark.parametrize(
    ("value", "words"),
    [(12345.6, "12,346"), (0.12784, "0.1278"), (5e-4, "0.0005"), (2.5e-5, "2.5e-05"), (0, "0")],
)
def test_numbers_are_short(value: float, words: str) -> None:
    assert number_words(value) == words
