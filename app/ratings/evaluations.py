"""Evaluations beside people's votes: how far benchmarks and people rank the same models alike.

``python -m training.evaluate report --app DATA_DIR`` writes ``evaluation.json`` into the data
folder: rows of ``{"kind", "group", "model", "headline", "percent", "low", "high", "number",
"made"}``, where rows of one kind and group were measured alike.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from app.errors import StorageFailed
from app.leaderboard_protocol import (
    Evaluated,
    EvaluatedModel,
    Evaluations,
    Leaderboard,
    RankCorrelation,
)

FILE = "evaluation.json"
FEWEST = 3
"""Models in common from which on a correlation is told: of two, it is 1 or -1 whatever they do."""
_ROWS = TypeAdapter(list[EvaluatedModel])


def read_evaluations(data_dir: Path) -> list[EvaluatedModel]:
    """The rows of the data folder; none where nothing has been evaluated.

    Raises :class:`app.errors.StorageFailed` where the file cannot be read.
    """
    path = data_dir / FILE
    try:
        return _ROWS.validate_json(path.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, ValidationError) as error:
        raise StorageFailed(
            f"The evaluations in {path.name} cannot be read.",
            "Write them again: python -m training.evaluate report RESULTS --app DATA_DIR.",
        ) from error


def evaluations(rows: list[EvaluatedModel], board: Leaderboard) -> Evaluations:
    """The rows by what was measured alike, each with its correlation with the board's ratings."""
    groups: dict[tuple[str, str, str], list[EvaluatedModel]] = {}
    for row in rows:
        groups.setdefault((row.kind, row.group, row.headline), []).append(row)
    ratings = {row.name: row.rating for row in board.standings if row.enough}
    return Evaluations(
        groups=[
            Evaluated(
                kind=kind,
                group=group,
                headline=headline,
                models=sorted(same, key=lambda row: (-row.percent, row.model)),
                correlation=_correlation(same, ratings),
            )
            for (kind, group, headline), same in sorted(groups.items())
        ]
    )


def _correlation(rows: list[EvaluatedModel], ratings: dict[str, float]) -> RankCorrelation:
    """Spearman's rank correlation over the models that both have; ties share a rank."""
    common = {row.model: row.percent for row in rows if row.model in ratings}
    if len(common) < FEWEST:
        return RankCorrelation(models=len(common), rho=None)
    percents, rated = list(common.values()), [ratings[name] for name in common]
    if len(set(percents)) == 1 or len(set(rated)) == 1:  # all alike: there is no order
        return RankCorrelation(models=len(common), rho=None)
    from scipy.stats import spearmanr  # here: it takes a moment that the start can save

    return RankCorrelation(
        models=len(common), rho=round(float(spearmanr(percents, rated).statistic), 3)
    )
