"""The result of an evaluation: what was asked of whom, how, on what, and what came out.

Every ``python -m training.evaluate`` command that scores writes one as JSON; the report gathers
them and says which of them can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llava_core.training.records import DataError
from training.evals.rows import loads, write_json

FORMAT = 1
MOST_SAMPLES = 12
KINDS = ("scenes", "science-qa", "judge", "pope", "answers")


@dataclass(frozen=True)
class Figure:
    """One number of a result, in percent, with its 95% interval where there is one.

    ``number`` is how many questions it rests on.
    """

    percent: float
    number: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Sample:
    """A question with its answer to look at; ``picture`` is a file's path, a PNG ``data:`` URL, or
    empty."""

    question: str
    answer: str
    expected: str = ""
    picture: str = ""
    right: bool | None = None


@dataclass(frozen=True)
class Result:
    """``headline`` names the figure that stands for the whole. ``settings`` must be equal for two
    results to be comparable, ``data`` (SHA-256 by role) too; ``counts`` are what was left out or
    failed; ``pictures`` are the SHA-256 of the test pictures' files. ``also`` are further rows of
    the same run, such as ensembles, in percent by figure; ``published`` those of the literature."""

    kind: str
    model: str
    headline: str
    figures: Mapping[str, Figure]
    settings: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    samples: Sequence[Sample] = ()
    pictures: Sequence[str] = ()
    also: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    made: str = ""

    @property
    def comparable_with(self) -> tuple[str, str]:
        """Results with the same value measure the same: kind, data and settings."""
        shown = sorted((f"data {k}", v) for k, v in self.data.items())
        shown += sorted((k, str(v)) for k, v in self.settings.items())
        return self.kind, repr(shown)


def write_result(path: Path, result: Result) -> None:
    """Write a result, whole or not at all, with the time."""
    made = result.made or datetime.now(UTC).isoformat(timespec="seconds")
    write_json(path, {"format": FORMAT, **asdict(result), "made": made})


def read_result(path: Path) -> Result:
    """Read a result. Raises :class:`DataError` where it is none, or of a newer format."""
    try:
        source = loads(path.read_text("utf-8"), path)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}", "Name a result file.") from error
    if not isinstance(source, dict) or source.get("kind") not in KINDS:
        raise DataError(
            f"{path} is no result of an evaluation",
            "Results are what `python -m training.evaluate` writes with --result.",
        )
    if source.pop("format", None) != FORMAT:
        raise DataError(f"{path} is of another format", "Evaluate anew with this version.")
    try:
        figures = {name: Figure(**figure) for name, figure in source.pop("figures").items()}
        samples = tuple(Sample(**sample) for sample in source.pop("samples", ()))
        return Result(figures=figures, samples=samples, **source)
    except (TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{path} is not whole: {error}", "Evaluate anew.") from error
