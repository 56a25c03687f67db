"""The leaderboard's page: what can be chosen, and below it everything that the votes say."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.leaderboard_protocol import Choices, Evaluations, Leaderboard, Slice
from app.ui.language import Texts
from app.ui.leaderboard.evaluated import evaluations_html
from app.ui.leaderboard.matrix import matrix_html
from app.ui.leaderboard.plots import days_html, position_html
from app.ui.leaderboard.standings import standings_html
from app.ui.leaderboard.trust import agreement_html, not_counted_html
from app.ui.navigation import LEADERBOARD, build_top
from app.ui.screen import Notice
from app.ui.view import notice_html

ALL = ""
REFRESH_SECONDS = 30.0


@dataclass(frozen=True)
class Controls:
    """What the votes can be narrowed to; each in the order of :func:`slice_of`."""

    kind: gr.Dropdown
    by: gr.Dropdown
    model: gr.Dropdown
    precision: gr.Dropdown
    language: gr.Dropdown
    question: gr.Dropdown
    reason: gr.Dropdown

    @property
    def parts(self) -> list[Any]:
        """All of them."""
        narrowing = [self.model, self.precision, self.language, self.question, self.reason]
        return [self.kind, self.by, *narrowing]


@dataclass(frozen=True)
class BoardView:
    """All parts that handlers read or change."""

    texts: Texts
    controls: Controls
    notice: gr.HTML
    board: gr.HTML
    evaluation: gr.HTML
    refresh: gr.Timer

    @classmethod
    def build(cls, texts: Texts) -> BoardView:
        """All parts in their places; call it inside the page."""
        build_top(LEADERBOARD, texts)
        with gr.Column(elem_id="board"):
            notice = gr.HTML(elem_id="notice")
            with (
                gr.Accordion(texts("board.narrow"), open=False, elem_id="slices"),
                gr.Row(elem_classes="slices"),
            ):
                controls = _controls(texts)
            board = gr.HTML(elem_id="board-votes")
            evaluation = gr.HTML(elem_id="board-evaluation")
        refresh = gr.Timer(REFRESH_SECONDS)
        return cls(texts, controls, notice, board, evaluation, refresh)

    @property
    def changing(self) -> list[Any]:
        """The parts that :meth:`show` and :meth:`tell` may change."""
        shown = self.controls
        narrowed = [shown.model, shown.precision, shown.language, shown.question]
        return [self.notice, self.board, *narrowed]

    def show(self, board: Leaderboard) -> dict[Any, Any]:
        """The whole page for these votes."""
        return {
            self.notice: "",
            self.board: board_html(board, self.texts),
            **self._choices(board.choices, board.slice),
        }

    def show_evaluations(self, evaluations: Evaluations) -> dict[Any, Any]:
        """What benchmarks say, below the votes."""
        return {self.evaluation: evaluations_html(evaluations, self.texts)}

    def tell(self, notice: Notice) -> dict[Any, Any]:
        """What went wrong; what was shown before stays."""
        return {self.notice: notice_html(notice.words(self.texts))}

    def _choices(self, choices: Choices, chosen: Slice) -> dict[Any, Any]:
        lists = (
            (self.controls.model, choices.models, chosen.model),
            (self.controls.precision, choices.precisions, chosen.precision),
            (self.controls.language, choices.languages, chosen.language),
            (self.controls.question, choices.questions, chosen.question),
        )
        everything = (self.texts("board.all"), ALL)
        return {
            part: gr.update(
                choices=[everything, *((name, name) for name in names)], value=value or ALL
            )
            for part, names, value in lists
        }


def slice_of(kind: str, by: str, *narrowing: str | None) -> Slice:
    """The votes that the controls ask for: model, precision, language, question, reason."""
    model, precision, language, question, reason = (value or None for value in narrowing)
    return Slice(
        kind="named" if kind == "named" else "blind",
        by="precision" if by == "precision" else "model",
        model=model,
        precision=precision,
        language=language,
        question=question,
        reason={"with": True, "without": False}.get(reason or ""),
    )


def board_html(board: Leaderboard, texts: Texts) -> str:
    """Everything that these votes say."""
    counted = texts("board.summary", counted=board.votes.counted, all=board.votes.all)
    sections = (
        ("board.days", "board.days_note", days_html(board.days, texts)),
        ("board.position", "board.position_note", position_html(board.position, texts)),
        (
            "board.agreement",
            "board.agreement_note",
            agreement_html(board.agreement, board.judge, texts),
        ),
        ("board.uncounted", "board.uncounted_note", not_counted_html(board, texts)),
    )
    matrix = matrix_html(board.wins, texts)
    tiles = "".join(_tile(texts, title, note, shown) for title, note, shown in sections)
    wins = f'<section class="tile wide"><h3>{_say(texts, "board.matrix")}</h3>{matrix}</section>'
    return (
        f'<div class="board"><h2>{_say(texts, "places.leaderboard")}</h2>'
        f'<p class="summary">{html.escape(counted)}</p>'
        f'<section class="tile wide">{standings_html(board, texts)}</section>'
        f"{wins if matrix else ''}{tiles}</div>"
    )


def _tile(texts: Texts, title: str, note: str, shown: str) -> str:
    return (
        f'<section class="tile"><h3>{_say(texts, title)}</h3>'
        f'<p class="explained">{_say(texts, note)}</p>{shown}</section>'
    )


def _controls(texts: Texts) -> Controls:
    def choice(label: str, choices: list[tuple[str, str]]) -> gr.Dropdown:
        worded = [(texts(key), value) for key, value in choices]
        return gr.Dropdown(
            worded, value=worded[0][1], label=texts(label), min_width=130, interactive=True
        )

    def narrowing(label: str, *choices: tuple[str, str]) -> gr.Dropdown:
        return choice(label, [("board.all", ALL), *choices])

    return Controls(
        kind=choice("board.kind", [("board.blind", "blind"), ("board.named", "named")]),
        by=choice("board.by", [("board.by_model", "model"), ("board.by_precision", "precision")]),
        model=narrowing("board.model"),
        precision=narrowing("compare.precision"),
        language=narrowing("board.language"),
        question=narrowing("board.question"),
        reason=narrowing("board.reason", ("board.with", "with"), ("board.without", "without")),
    )


def _say(texts: Texts, key: str) -> str:
    return html.escape(texts(key))
