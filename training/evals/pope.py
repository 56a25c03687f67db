"""POPE: does a model say yes to things that are not there? (https://arxiv.org/abs/2305.10355)

Questions are ``{"question_id", "image", "text", "label": "yes" | "no", "category"?}``; a file
without categories is one, named as its file is (random, popular, adversarial).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llava_core.training.records import DataError
from training.evals.rows import Row, read_rows, same_ids


@dataclass(frozen=True)
class Polled:
    """One category, all shares 0..1. ``yes`` is the share of answers that say yes; ``missing``
    questions have no answer and count as wrong; ``neither`` answers hold neither word."""

    number: int
    accuracy: float
    precision: float
    recall: float
    f1: float
    yes: float
    missing: int
    neither: int


def read_polls(files: Sequence[Path]) -> list[Row]:
    """The questions of all files, each with a category. Raises :class:`DataError`."""
    rows: list[Row] = []
    for path in files:
        for number, row in enumerate(
            read_rows(path, ("question_id", "text", "label"), "question", "question_id")
        ):
            if str(row["label"]).lower() not in ("yes", "no"):
                raise DataError(
                    f"{path} has label {row['label']!r}", "Labels are yes and no.", number
                )
            rows.append({"category": _category(path), **row, "file": str(path)})
    return rows


def _category(path: Path) -> str:
    known = [name for name in ("random", "popular", "adversarial") if name in path.stem]
    return known[0] if known else path.stem


def read_answers(path: Path, polls: Sequence[Row]) -> dict[str, str]:
    """The answers by question. Raises :class:`DataError` where they are to other questions."""
    rows = read_rows(path, ("question_id", "text"), "answer", "question_id", unfinished=True)
    texts = {str(row["question_id"]): str(row["text"]) for row in rows}
    same_ids((str(row["question_id"]) for row in polls), texts, "question_id", path)
    return texts


def says_yes(text: str) -> bool:
    """As the published evaluation reads it: the first sentence says no, or else yes."""
    first = text.split(".")[0].replace(",", "")
    return not {"No", "not", "no"} & set(first.split(" "))


def says_neither(text: str) -> bool:
    """Whether neither yes nor no (nor not) is in the text, so that the reading is a default."""
    return not re.search(r"\b(yes|no|not)\b|n't\b", text, re.IGNORECASE)


def poll(polls: Sequence[Row], texts: dict[str, str]) -> dict[str, Polled]:
    """The figures of each category, and of all questions under "all"."""
    categories = list(dict.fromkeys(str(row["category"]) for row in polls))
    found = {
        name: _polled([r for r in polls if r["category"] == name], texts) for name in categories
    }
    return found if len(found) == 1 else {**found, "all": _polled(polls, texts)}


def _polled(rows: Sequence[Row], texts: dict[str, str]) -> Polled:
    true_yes = false_yes = true_no = said_yes = missing = neither = 0
    for row in rows:
        text = texts.get(str(row["question_id"]))
        if text is None:
            missing += 1
            continue
        yes, label = says_yes(text), str(row["label"]).lower() == "yes"
        neither += says_neither(text)
        said_yes += yes
        true_yes += yes and label
        false_yes += yes and not label
        true_no += not yes and not label
    positives = sum(str(row["label"]).lower() == "yes" for row in rows)
    precision = _ratio(true_yes, true_yes + false_yes)
    recall = _ratio(true_yes, positives)
    return Polled(
        len(rows),
        _ratio(true_yes + true_no, len(rows)),
        precision,
        recall,
        _ratio(2 * precision * recall, precision + recall),
        _ratio(said_yes, len(rows) - missing),
        missing,
        neither,
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
