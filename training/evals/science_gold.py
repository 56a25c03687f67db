"""The right answers of ScienceQA, and what its columns need to know of each problem.

A gold file is ``problems.json`` (with ``pid_splits.json`` beside it, a split is chosen), or any
JSON object from a problem's id to its right answer: a number, a letter, or an object with
``answer``. What a file does not say is None, and columns that need it are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from llava_core.training.records import DataError
from training.evals.rows import loads

SUBJECTS = {"natural science": "NAT", "social science": "SOC", "language science": "LAN"}
SPLITS = "pid_splits.json"
MOST_CHOICES = 5
COLUMNS = ("NAT", "SOC", "LAN", "TXT", "IMG", "NO", "G1-6", "G7-12", "all")
"""Of the paper's table: subjects, kinds of context, grades (https://arxiv.org/abs/2209.09513)."""


@dataclass(frozen=True)
class Gold:
    """One problem. ``answer`` counts choices from 0; ``None`` where the file does not tell."""

    id: str
    answer: int
    choices: tuple[str, ...]
    question: str = ""
    subject: str | None = None
    has_text: bool | None = None
    has_image: bool | None = None
    grade: int | None = None
    hint: str = ""


@dataclass(frozen=True)
class GoldFile:
    """The problems of a split, in its order. ``columns`` are those that can be told."""

    problems: tuple[Gold, ...]
    columns: tuple[str, ...]
    split: str


def read_gold(path: Path, split: str = "test", splits: Path | None = None) -> GoldFile:
    """Read a gold file, or a folder with ``problems.json`` and ``pid_splits.json``.

    Without a file of splits all its problems count, or those whose own ``split`` it is. Raises
    :class:`DataError`, with the number of the problem, where something is missing or wrong.
    """
    if path.is_dir():
        path, splits = path / "problems.json", splits or path / SPLITS
    elif splits is None and (path.parent / SPLITS).exists():
        splits = path.parent / SPLITS
    source = _object(path)
    names = _names(source, path, split, splits)
    problems = tuple(gold_of(name, source[name], path, number) for number, name in enumerate(names))
    if not problems:
        raise DataError(f"{path} has no problem of split {split!r}", "Name another --split.")
    columns = tuple(
        name for name in COLUMNS if all(belongs(name, each) is not None for each in problems)
    )
    return GoldFile(problems, columns, split)


def _object(path: Path) -> dict[str, Any]:
    try:
        found = loads(path.read_text("utf-8"), path)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}",
            "Name ScienceQA's problems.json or its folder.",
        ) from error
    if not isinstance(found, dict) or not found:
        raise DataError(f"{path} is not a JSON object of problems", "Name problems.json.")
    return found


def _names(source: dict[str, Any], path: Path, split: str, splits: Path | None) -> list[str]:
    if splits is None:
        if any(isinstance(each, dict) and "split" in each for each in source.values()):
            return [name for name, each in source.items() if _split_of(each) == split]
        return list(source)
    listed = _object(splits)
    if split not in listed:
        raise DataError(
            f"there is no split {split!r} in {splits}", f"Name one of {', '.join(listed)}."
        )
    names = [str(name) for name in listed[split]]
    for number, name in enumerate(names):
        if name not in source:
            raise DataError(
                f"problem {name} of split {split!r} is not in {path}",
                "Both files must be of the same release: load them anew.",
                number,
            )
    return names


def _split_of(source: Any) -> str | None:
    return source.get("split") if isinstance(source, dict) else None


def gold_of(name: str, source: Any, path: Path, number: int) -> Gold:
    """One problem as the file says it. Raises :class:`DataError`."""
    if not isinstance(source, dict):
        return Gold(name, _answer(name, source, MOST_CHOICES, path, number), ("",) * MOST_CHOICES)
    if "answer" not in source:
        raise DataError(f"problem {name} of {path} has no answer", "Add it.", number)
    choices = tuple(str(choice) for choice in source.get("choices") or ("",) * MOST_CHOICES)
    subject = source.get("subject")
    return Gold(
        name,
        _answer(name, source["answer"], len(choices), path, number),
        choices,
        str(source.get("question") or ""),
        SUBJECTS.get(str(subject).lower(), "") if subject is not None else None,
        bool(str(source["hint"] or "").strip()) if "hint" in source else None,
        bool(source["image"]) if "image" in source else None,
        _grade(source.get("grade")),
        str(source.get("hint") or "").strip(),
    )


def _answer(name: str, said: Any, choices: int, path: Path, number: int) -> int:
    letters = ascii_uppercase[:choices]
    if isinstance(said, str) and len(said) == 1 and said in letters:
        return letters.index(said)
    if isinstance(said, int) and not isinstance(said, bool) and 0 <= said < choices:
        return said
    raise DataError(
        f"the answer to problem {name} of {path} is {said!r}, none of its {choices} choices",
        "An answer is a number counted from 0, or a letter.",
        number,
    )


def _grade(source: Any) -> int | None:
    digits = str(source or "").removeprefix("grade")
    return int(digits) if digits.isdigit() else None


def _is_of(subject: str) -> Callable[[Gold], bool | None]:
    return lambda gold: None if gold.subject is None else gold.subject == subject


_BELONGS: dict[str, Callable[[Gold], bool | None]] = {
    **{name: _is_of(name) for name in SUBJECTS.values()},
    "TXT": lambda gold: gold.has_text,
    "IMG": lambda gold: gold.has_image,
    "NO": lambda gold: (
        None
        if gold.has_text is None or gold.has_image is None
        else not (gold.has_text or gold.has_image)
    ),
    "G1-6": lambda gold: None if gold.grade is None else gold.grade <= 6,
    "G7-12": lambda gold: None if gold.grade is None else gold.grade > 6,
    "all": lambda gold: True,
}


def belongs(column: str, gold: Gold) -> bool | None:
    """Whether the problem counts in a column; None where that cannot be told."""
    return _BELONGS[column](gold)
