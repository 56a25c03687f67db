"""A ScienceQA of forty problems in the original's format, with every odd case."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SUBJECTS = ("natural science", "social science", "language science")


def problems() -> dict[str, dict[str, Any]]:
    """Ids count from 1. Problem n: subject n % 3, a hint where n % 2, a picture where n % 5 == 0,
    2 to 5 choices, grade n % 12 + 1, answer n % number of choices."""
    found = {}
    for number in range(1, 41):
        choices = [f"choice {letter}{number}" for letter in "abcde"[: 2 + number % 4]]
        found[str(number)] = {
            "question": f"Which one of {number}?",
            "choices": choices,
            "answer": number % len(choices),
            "hint": f"Hint {number}." if number % 2 else "",
            "image": "image.png" if number % 5 == 0 else None,
            "task": "closed choice",
            "grade": f"grade{number % 12 + 1}",
            "subject": SUBJECTS[number % 3],
            "topic": "t",
            "category": "c",
            "skill": "s",
            "lecture": "Lecture.",
            "solution": "Solution.",
            "split": "test" if number > 4 else "train",
        }
    return found


def write(folder: Path) -> Path:
    """``problems.json`` and ``pid_splits.json``; the test split is in an order of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    test = [str(number) for number in range(40, 4, -1)]
    (folder / "problems.json").write_text(json.dumps(problems()))
    splits = {"train": ["1", "2", "3", "4"], "test": test, "minitest": ["40", "5"]}
    (folder / "pid_splits.json").write_text(json.dumps(splits))
    return folder


def said(name: str, index: int) -> str:
    """An answer of the form in which LLaVA was trained."""
    return f"Lecture of {name}. The answer is {'ABCDE'[index]}."


def result_file(path: Path, texts: dict[str, str], results: dict[str, int] | None = None) -> Path:
    """Predictions as LLaVA's evaluation writes them."""
    content = {
        "acc": 0.0,
        "correct": 0,
        "count": len(texts),
        "results": results if results is not None else {name: -1 for name in texts},
        "outputs": texts,
    }
    path.write_text(json.dumps(content))
    return path
