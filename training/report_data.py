"""What a run has told so far, read from its folder: figures, answers, and its recipe.

The run may be going on: a last line that is half written is not there yet.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from llava_core.training import inspection, metrics
from llava_core.training.inspection import normalised

NOT_FIGURES = ("step", "minutes")
_TEXTS = ("record", "question", "reference", "answer")


class ReportError(Exception):
    """A folder that no report can be made of; the message says what to do."""


class Point(NamedTuple):
    """A figure at a step."""

    step: int
    value: float


class Said(NamedTuple):
    """An answer at a step; ``right``: word for word the one in the data."""

    step: int
    text: str
    right: bool


@dataclass(frozen=True)
class Asked:
    """A question that is asked again and again, with the answers in the order of their steps."""

    record: str
    question: str
    reference: str
    answers: tuple[Said, ...]


@dataclass(frozen=True)
class Run:
    """A run folder. ``figures`` are the values by name, in the order of their steps; ``recipe`` its
    settings by name, such as ``train.seed``; empty where the folder has none."""

    name: str
    finished: bool
    minutes: float
    figures: dict[str, tuple[Point, ...]]
    asked: tuple[Asked, ...]
    recipe: dict[str, str]

    @property
    def steps(self) -> int:
        """The last step that something is known of."""
        return max(points[-1].step for points in self.figures.values())


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """The runs, each under the shortest name that tells it from the others.

    Raises :class:`ReportError` where a folder has no metrics, and ``OSError``.
    """
    last = Counter(folder.resolve().name for folder in folders)
    return [
        read_run(folder, name if last[name := folder.resolve().name] == 1 else str(folder))
        for folder in folders
    ]


def read_run(folder: Path, name: str) -> Run:
    """The run in this folder. Raises :class:`ReportError` and ``OSError``."""
    path = folder / metrics.FILE
    if not path.is_file():
        raise ReportError(
            f"{folder} has no {metrics.FILE}. Name the output folder of a run (the recipe's "
            "output); the file appears with its first figures."
        )
    lines = list(_lines(path))
    figures = _figures(lines)
    if not figures:
        raise ReportError(
            f"{path} has no figures yet. The first come after the recipe's log.every steps: "
            "try again then."
        )
    minutes = max((_number(line.get("minutes")) or 0.0 for line in lines), default=0.0)
    finished = (folder / "done").exists()
    return Run(name, finished, minutes, figures, _asked(folder), _recipe(folder / "recipe.json"))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines that belong to a step."""
    if not path.is_file():
        return
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            found = json.loads(line)
        except ValueError:  # what a killed run had begun; it forgets it when it goes on
            continue
        if isinstance(found, dict) and isinstance(found.get("step"), int):
            yield found


def _figures(lines: Sequence[dict[str, Any]]) -> dict[str, tuple[Point, ...]]:
    """A later line about the same step replaces an earlier one."""
    found: dict[str, dict[int, float]] = {}
    for line in lines:
        for key, value in line.items():
            number = _number(value)
            if key not in NOT_FIGURES and number is not None:
                found.setdefault(key, {})[line["step"]] = number
    return {
        key: tuple(Point(step, values[step]) for step in sorted(values))
        for key, values in found.items()
    }


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None


def _asked(folder: Path) -> tuple[Asked, ...]:
    """Questions in the order of the file; a later answer at the same step replaces the earlier."""
    found: dict[tuple[str, str, str], dict[int, Said]] = {}
    for line in _lines(folder / inspection.FILE):
        record, question, reference, text = (str(line.get(name, "")) for name in _TEXTS)
        said = Said(line["step"], text, normalised(text) == normalised(reference))
        found.setdefault((record, question, reference), {})[said.step] = said
    return tuple(
        Asked(*key, answers=tuple(said[step] for step in sorted(said)))
        for key, said in found.items()
    )


def _recipe(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise ReportError(
            f"{path} is not JSON ({error}). Start the run again: it writes it anew."
        ) from error
    return dict(_flat(content, ""))


def _flat(content: Any, name: str) -> Iterator[tuple[str, str]]:
    """Every setting with its dotted name; what is not set is left out."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _flat(value, f"{name}.{key}" if name else str(key))
    elif isinstance(content, list) and any(isinstance(item, dict) for item in content):
        for index, value in enumerate(content):
            yield from _flat(value, f"{name}.{index}")
    elif isinstance(content, list):
        yield name, ", ".join(map(str, content))
    elif content is not None:
        yield name, str(content).lower() if isinstance(content, bool) else str(content)
