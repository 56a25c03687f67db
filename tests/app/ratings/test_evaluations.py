"""Evaluations beside people's votes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.errors import StorageFailed
from app.ratings.evaluations import FILE, evaluations, read_evaluations
from app.ratings.leaderboard import leaderboard
from tests.app.ratings.votes import vote, votes_of


def row(model: str, percent: float, **changes: Any) -> dict[str, Any]:
    given = {"kind": "scenes", "group": "seed: 1", "model": model, "headline": "mean"}
    return {**given, "percent": percent, "low": None, "high": None, "number": 9, **changes}


def write(folder: Path, rows: Any) -> Path:
    (folder / FILE).write_text(json.dumps(rows))
    return folder


ABC = votes_of(*(vote("a", "b"), vote("b", "c"), vote("a", "c")) * 12)
"""People rank a before b before c."""


@pytest.mark.parametrize(
    ("percents", "rho"),
    [((90, 80, 70), 1.0), ((70, 80, 90), -1.0), ((90, 70, 80), 0.5), ((50, 50, 50), None)],
)
def test_rank_correlation_with_people(
    tmp_path: Path, percents: tuple[float, ...], rho: float | None
) -> None:
    rows = [row(name, percent) for name, percent in zip("abc", percents, strict=True)]
    found = evaluations(read_evaluations(write(tmp_path, rows)), leaderboard(ABC, enough=10))
    assert found.groups[0].correlation.rho == rho
    assert found.groups[0].correlation.models == 3
    assert [each.percent for each in found.groups[0].models] == sorted(percents, reverse=True)


def test_two_models_have_no_correlation_and_other_measures_stay_apart(tmp_path: Path) -> None:
    rows = [row("a", 90), row("b", 80), row("a", 70, kind="judge"), row("a", 1, group="seed: 2")]
    found = evaluations(read_evaluations(write(tmp_path, rows)), leaderboard(ABC, enough=10))
    assert [(each.kind, each.group, len(each.models)) for each in found.groups] == [
        ("judge", "seed: 1", 1),
        ("scenes", "seed: 1", 2),
        ("scenes", "seed: 2", 1),
    ]
    assert {each.correlation.rho for each in found.groups} == {None}


def test_models_with_too_few_votes_do_not_count(tmp_path: Path) -> None:
    rows = [row(name, percent) for name, percent in zip("abc", (3, 2, 1), strict=True)]
    found = evaluations(read_evaluations(write(tmp_path, rows)), leaderboard(ABC, enough=1000))
    assert found.groups[0].correlation.models == 0


def test_nothing_evaluated_is_nothing_and_a_broken_file_is_told(tmp_path: Path) -> None:
    assert read_evaluations(tmp_path) == []
    with pytest.raises(StorageFailed, match="cannot be read"):
        read_evaluations(write(tmp_path, [{"model": "a"}]))
