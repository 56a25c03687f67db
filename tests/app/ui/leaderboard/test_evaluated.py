"""Evaluations on the leaderboard's page."""

from __future__ import annotations

from app.leaderboard_protocol import Evaluated, EvaluatedModel, Evaluations, RankCorrelation
from app.ui.language import load_texts
from app.ui.leaderboard.evaluated import evaluations_html


def evaluated(rho: float | None) -> Evaluations:
    model = EvaluatedModel(
        kind="scenes",
        group="seed: 1",
        model="<b>tiny</b>",
        headline="mean",
        percent=96.1,
        low=95.0,
        high=97.25,
        number=1700,
    )
    correlation = RankCorrelation(models=3, rho=rho)
    group = Evaluated(
        kind="scenes", group="seed: 1", headline="mean", models=[model], correlation=correlation
    )
    return Evaluations(groups=[group])


def test_figures_interval_and_correlation_with_names_as_text() -> None:
    shown = evaluations_html(evaluated(-0.5), load_texts("en"))
    assert "&lt;b&gt;tiny&lt;/b&gt;" in shown and "<b>tiny" not in shown
    assert "96.1" in shown and "95.0–97.2" in shown and "-0.50" in shown


def test_without_enough_models_it_says_what_is_missing() -> None:
    assert "needs three models" in evaluations_html(evaluated(None), load_texts("en"))


def test_nothing_evaluated_shows_nothing() -> None:
    assert evaluations_html(Evaluations(groups=[]), load_texts("en")) == ""
