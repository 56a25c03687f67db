"""POPE's figures by hand, and its mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llava_core.training.records import DataError
from training.evals.pope import poll, read_answers, read_polls, says_neither, says_yes
from training.evaluate import main


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    labels = ["yes", "yes", "yes", "no", "no", "no", "no", "no"]
    rows: list[dict[str, object]] = [
        {"question_id": n, "image": "a.png", "text": f"Is there {n}?", "label": label}
        for n, label in enumerate(labels)
    ]
    return write(tmp_path / "coco_pope_popular.json", rows)


TEXTS = ["Yes.", "Yes, there is.", "No, there is not.", "No.", "no", "Yes", "I see a cat."]


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    rows: list[dict[str, object]] = [{"question_id": n, "text": t} for n, t in enumerate(TEXTS)]
    return write(tmp_path / "answers.jsonl", rows)


def test_figures_by_hand(questions: Path, answers: Path) -> None:
    polls = read_polls([questions])
    found = poll(polls, read_answers(answers, polls))
    # True yes 2, false yes 2 ("Yes", and the cat by default), true no 2; question 7 is missing.
    popular = found["popular"]
    assert list(found) == ["popular"]
    assert popular.accuracy == pytest.approx(4 / 8)
    assert popular.precision == pytest.approx(2 / 4)
    assert popular.recall == pytest.approx(2 / 3)
    assert popular.f1 == pytest.approx(2 * 0.5 * (2 / 3) / (0.5 + 2 / 3))
    assert popular.yes == pytest.approx(4 / 7)
    assert (popular.missing, popular.neither) == (1, 1)


def test_categories_and_all(tmp_path: Path, answers: Path) -> None:
    rows: list[dict[str, object]] = [
        {"question_id": n, "text": "?", "label": "yes", "category": "ab"[n % 2]} for n in range(7)
    ]
    polls = read_polls([write(tmp_path / "q.jsonl", rows)])
    assert set(poll(polls, read_answers(answers, polls))) == {"a", "b", "all"}


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("Yes", True),
        ("No", False),
        ("There is not a dog. Yes.", False),  # the first sentence counts
        ("Yes. But not two.", True),
        ("NO", True),  # as published: the capital letters are another word
        ("There isn't", True),
        ("", True),
    ],
)
def test_yes_as_published(text: str, yes: bool) -> None:
    assert says_yes(text) is yes


def test_neither() -> None:
    assert says_neither("A cat.") and not says_neither("It isn't.") and not says_neither("YES!")


def test_the_command(questions: Path, answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = questions.parent / "result.json"
    words = ["pope", "--questions", questions, "--answers", answers, "--result", result]
    assert main([str(word) for word in words]) == 0
    assert "57.1" in capsys.readouterr().out  # F1, and the share of yes
    assert json.loads(result.read_text())["counts"] == {"no answer": 1, "neither yes nor no": 1}


def test_mistakes(tmp_path: Path, questions: Path) -> None:
    polls = read_polls([questions])
    strange = write(tmp_path / "s.jsonl", [{"question_id": "x", "text": "Yes"}])
    with pytest.raises(DataError, match=r"record 0: .*'x', which is not asked for"):
        read_answers(strange, polls)
    unlabelled = write(tmp_path / "u.jsonl", [{"question_id": 1, "text": "?", "label": "maybe"}])
    with pytest.raises(DataError, match=r"record 0: .*label 'maybe'"):
        read_polls([unlabelled])
