"""ScienceQA predictions: read as they are published, scored in the paper's nine columns."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from llava_core.training.records import DataError
from training.evals.letters import FAILED, Reader
from training.evals.rows import Row, loads, read_rows, same_ids
from training.evals.science_gold import Gold, GoldFile, belongs
from training.evals.shares import Share, bootstrap

PUBLISHED: dict[str, tuple[float, ...]] = {
    "human": (90.23, 84.97, 87.48, 89.60, 87.50, 88.10, 91.59, 82.42, 88.40),
    "GPT-3.5 CoT": (75.44, 70.87, 78.09, 74.68, 67.43, 79.93, 78.23, 69.68, 75.17),
    "MM-CoT large": (95.91, 82.00, 90.82, 95.26, 88.80, 92.89, 92.44, 90.31, 91.68),
    "GPT-4": (84.06, 73.45, 87.36, 81.87, 70.75, 90.73, 84.69, 79.10, 82.69),
    "LLaVA": (90.36, 95.95, 88.00, 89.49, 88.00, 90.66, 90.93, 90.90, 90.92),
    "LLaVA + GPT-4, complement": (90.36, 95.50, 88.55, 89.05, 87.80, 91.08, 92.22, 88.73, 90.97),
    "LLaVA + GPT-4, judge": (91.56, 96.74, 91.09, 90.62, 88.99, 93.52, 92.73, 92.16, 92.53),
}
"""Percent in the test split, by :data:`COLUMNS`; table 7 of https://arxiv.org/abs/2304.08485."""


@dataclass(frozen=True)
class Predictions:
    """The texts of one model, by problem, or its choices where a file has no texts."""

    name: str
    texts: dict[str, str]
    chosen: dict[str, int] = field(default_factory=dict)

    def choice(self, gold: Gold, reader: Reader) -> int:
        """The index of the choice taken, or ``FAILED``."""
        if gold.id in self.texts:
            return reader(self.texts[gold.id], gold.choices)
        index = self.chosen.get(gold.id, FAILED)
        return index if 0 <= index < len(gold.choices) else FAILED


@dataclass(frozen=True)
class ScienceScores:
    """``choices``: index by problem, -1 where no letter was read. ``missing`` have no prediction,
    ``failed`` have one without a letter, ``guessed`` of them were guessed."""

    name: str
    columns: dict[str, Share]
    choices: dict[str, int]
    missing: int
    failed: int
    guessed: int = 0


def read_predictions(path: Path, gold: GoldFile, strict: bool = True) -> Predictions:
    """Predictions as LLaVA's result file, as an answer file, or as an object of texts by problem.

    ``strict`` refuses a file with problems of another split. Raises :class:`DataError`.
    """
    if path.suffix == ".jsonl":
        rows = read_rows(path, ("question_id", "text"), "answer", "question_id", unfinished=True)
        texts = {str(row["question_id"]): str(row["text"]) for row in rows}
        found = Predictions(_name(rows, path), texts)
    else:
        found = _from_json(path)
    if strict:
        same_ids(
            (each.id for each in gold.problems),
            [*found.texts, *(name for name in found.chosen if name not in found.texts)],
            "problem",
            path,
        )
    return found


def _name(rows: Sequence[Row], path: Path) -> str:
    names = {str(row["model_id"]) for row in rows if row.get("model_id")}
    return names.pop() if len(names) == 1 else path.stem


def _from_json(path: Path) -> Predictions:
    try:
        source = loads(path.read_text("utf-8"), path)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}", "Name a file of predictions."
        ) from error
    if isinstance(source, list):
        rows = read_rows(path, ("question_id", "text"), "answer", "question_id")
        texts = {str(row["question_id"]): str(row["text"]) for row in rows}
        return Predictions(_name(rows, path), texts)
    if not isinstance(source, dict):
        raise _no_predictions(path)
    texts, chosen = source.get("outputs", {}), source.get("results", {})
    if not texts and not chosen:
        texts = source
    if not isinstance(texts, dict) or not isinstance(chosen, dict):
        raise _no_predictions(path)
    return Predictions(
        path.stem,
        {str(name): _text(text, path) for name, text in texts.items()},
        {str(name): _index(index, path) for name, index in chosen.items()},
    )


def _text(source: Any, path: Path) -> str:
    if isinstance(source, dict) and isinstance(source.get("text"), str):
        return str(source["text"])
    if isinstance(source, str):
        return source
    raise _no_predictions(path)


def _index(source: Any, path: Path) -> int:
    if isinstance(source, int) and not isinstance(source, bool):
        return source
    raise _no_predictions(path)


def _no_predictions(path: Path) -> DataError:
    return DataError(
        f"{path} holds no predictions",
        'A file of them is {"results": {id: index}, "outputs": {id: text}}, {id: text}, or JSON '
        'lines {"question_id", "text"}.',
    )


def score(gold: GoldFile, predictions: Predictions, reader: Reader, seed: int = 0) -> ScienceScores:
    """Walk all problems of the split: a missing prediction, and one without a letter, are wrong."""
    choices = {each.id: predictions.choice(each, reader) for each in gold.problems}
    known = {*predictions.texts, *predictions.chosen}
    missing = sum(each.id not in known for each in gold.problems)
    failed = sum(index == FAILED for index in choices.values()) - missing
    return scored(predictions.name, gold, choices, seed, missing=missing, failed=failed)


def scored(
    name: str,
    gold: GoldFile,
    choices: Mapping[str, int],
    seed: int = 0,
    missing: int = 0,
    failed: int = 0,
    guess: bool = False,
) -> ScienceScores:
    """The columns for choices that are known. ``guess`` replaces failures by lot, as the published
    evaluation of ensembles does; how many is told."""
    taken = dict(choices)
    guessed = 0
    if guess:
        rng = random.Random(seed)
        for each in gold.problems:
            if taken[each.id] == FAILED:
                taken[each.id] = rng.randrange(len(each.choices))
                guessed += 1
    right = np.array([taken[each.id] == each.answer for each in gold.problems])
    columns = {}
    for column in gold.columns:
        counts = np.array([bool(belongs(column, each)) for each in gold.problems])
        if counts.any():
            columns[column] = bootstrap(right[counts], seed)
    return ScienceScores(name, columns, taken, missing, failed, guessed)
