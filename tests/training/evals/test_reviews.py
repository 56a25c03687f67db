"""A judge's replies and what they say in sum: nothing unreadable enters a mean."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from training.evals.reviews import pair_of, read_reviews, scores_in, spread, summarise
from training.evaluate import main


@pytest.mark.parametrize(
    ("reply", "pair"),
    [
        ("8 9\nBoth are fine.", (8, 9)),
        ("8, 9", (8, 9)),
        ("8.5 7", (8.5, 7)),
        ("8/10 9/10", (8, 9)),
        ("\n\n10 1\n", (10, 1)),
        ("Scores: 7 and 6", (7, 6)),
        ("0 9", None),  # grades begin at 1
        ("11 9", None),
        ("-1 5", None),
        ("8", None),
        ("8 9 10", None),
        ("I cannot grade this.", None),
        ("", None),
        ("Let me see.\n8 9", None),  # the first line is what counts
    ],
)
def test_scores_in_a_reply(reply: str, pair: tuple[float, float] | None) -> None:
    assert scores_in(reply) == pair


def review(question: int, category: str, pair: list[float]) -> dict[str, object]:
    return {"id": question, "question_id": question, "category": category, "tuple": pair}


def test_ratio_of_means_with_unreadable_replies_left_out() -> None:
    reviews = [
        review(1, "conv", [8, 6]),
        review(2, "conv", [10, 9]),
        review(3, "conv", [-1, -1]),
        review(4, "detail", [5, 5]),
        review(5, "complex", [-1, -1]),
    ]
    found = summarise(reviews)
    assert found["conv"].percent == pytest.approx(100 * 7.5 / 9) and found["conv"].unreadable == 1
    # Over all questions, not over categories: (6 + 9 + 5) / (8 + 10 + 5).
    assert found["all"].percent == pytest.approx(100 * 20 / 23)
    assert (found["all"].number, found["all"].unreadable) == (3, 2)
    assert math.isnan(found["complex"].percent) and found["complex"].number == 0
    assert found["all"].low <= found["all"].percent <= found["all"].high


def test_all_failed_is_no_score_at_all() -> None:
    found = summarise([review(n, "conv", [-1, -1]) for n in range(5)])
    assert math.isnan(found["all"].percent) and found["all"].unreadable == 5


def test_repeats_of_a_question_count_once() -> None:
    reviews = [review(1, "conv", [8, 8]), review(1, "conv", [4, 2]), review(2, "conv", [10, 10])]
    found = summarise(reviews)["conv"]
    assert found.number == 2 and found.percent == pytest.approx(100 * (5 + 10) / (6 + 10))


@pytest.mark.parametrize("pair", [None, "8 9", [8], [8, "9"], [8, 12], [8, -1]])
def test_pairs_that_are_none(pair: object) -> None:
    assert pair_of({"tuple": pair}) is None


def test_several_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = []
    for number, candidate in enumerate((5, 7)):
        files.append(tmp_path / f"{number}.jsonl")
        lines = [json.dumps(review(1, "conv", [10, candidate])), '{"half']
        files[-1].write_text("\n".join(lines))
    assert spread([summarise(read_reviews(file)) for file in files])["all"] == pytest.approx(
        (60.0, 200**0.5)
    )
    assert main(["reviews", *map(str, files)]) == 0
    told = capsys.readouterr().out
    assert "60.0" in told and "14.1" in told
