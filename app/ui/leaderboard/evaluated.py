"""Evaluations beside the votes: a table for each that was measured alike, and rank correlations."""

from __future__ import annotations

import html

from app.leaderboard_protocol import Evaluated, EvaluatedModel, Evaluations
from app.ui.language import Texts

HEADS = (
    "board.evaluated_model",
    "board.evaluated_percent",
    "board.evaluated_interval",
    "board.evaluated_number",
)


def evaluations_html(evaluations: Evaluations, texts: Texts) -> str:
    """All of them; nothing where nothing has been evaluated. Names are text, whatever they hold."""
    if not evaluations.groups:
        return ""
    groups = "".join(_group(group, texts) for group in evaluations.groups)
    title, note = (
        html.escape(texts(f"board.{key}")) for key in ("evaluations", "evaluations_note")
    )
    return (
        f'<div class="board"><section class="tile wide"><h3>{title}</h3>'
        f'<p class="explained">{note}</p>{groups}</section></div>'
    )


def _group(group: Evaluated, texts: Texts) -> str:
    measured = ", ".join(each for each in (group.headline, group.group) if each)
    rows = [_row(model) for model in group.models]
    return (
        f"<h4>{html.escape(group.kind)}</h4>"
        f'<p class="explained">{html.escape(measured)}</p>'
        f"{_table(rows, texts)}<p>{html.escape(_correlation(group, texts))}</p>"
    )


def _table(rows: list[tuple[str, ...]], texts: Texts) -> str:
    head = "".join(f'<th scope="col">{html.escape(texts(key))}</th>' for key in HEADS)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<table class="reasons"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _row(model: EvaluatedModel) -> tuple[str, ...]:
    there = model.low is not None and model.high is not None
    between = f"{model.low:.1f}–{model.high:.1f}" if there else "–"
    return model.model, f"{model.percent:.1f}", between, str(model.number)


def _correlation(group: Evaluated, texts: Texts) -> str:
    found = group.correlation
    if found.rho is None:
        return texts("board.no_correlation", models=found.models)
    return texts("board.correlation", rho=f"{found.rho:.2f}", models=found.models)
