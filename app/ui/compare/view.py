"""The page that compares: its parts, from top to bottom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.settings import Settings
from app.ui.compare.column import MOST_COLUMNS, Column, build_column
from app.ui.compare.handlers import Opened
from app.ui.compare.voting import CompareBallot
from app.ui.language import Texts
from app.ui.navigation import COMPARE, build_top
from app.ui.parts import NEW_MODEL_SECONDS, RatingForm, build_box, build_rating
from app.ui.screen import Notice
from app.ui.view import STORAGE_KEY, STORAGE_SECRET, notice_html

FEWEST_COLUMNS = 2
ALL = 0
"""The number that stands for all columns in the choice of whom a question goes to."""


@dataclass(frozen=True)
class CompareView:
    """All parts that handlers read or change."""

    texts: Texts
    tab: gr.BrowserState
    count: gr.BrowserState
    asked: gr.State
    how_many: gr.Radio
    new: gr.Button
    columns: tuple[Column, ...]
    whom: gr.Radio
    mark: gr.Checkbox
    ballot: CompareBallot
    rating: RatingForm
    rated: gr.State
    notice: gr.HTML
    box: gr.MultimodalTextbox
    waiting: gr.Timer

    @classmethod
    def build(cls, settings: Settings, texts: Texts) -> CompareView:
        """All parts in their places; call it inside the page."""
        tab = gr.BrowserState("", storage_key=STORAGE_KEY, secret=STORAGE_SECRET)
        count = gr.BrowserState(
            FEWEST_COLUMNS, storage_key=f"{STORAGE_KEY}-compare", secret=STORAGE_SECRET
        )
        build_top(COMPARE, texts)
        with gr.Row(elem_id="compared", equal_height=False):
            columns = tuple(
                build_column(number, number <= FEWEST_COLUMNS, settings, texts)
                for number in range(1, MOST_COLUMNS + 1)
            )
        ballot = CompareBallot.build(texts)
        rating = build_rating(texts)
        notice = gr.HTML(elem_id="notice")
        with gr.Row(elem_id="compare-tools"):
            whom = gr.Radio(
                whom_choices(FEWEST_COLUMNS, texts),
                value=ALL,
                label=texts("compare.whom"),
                elem_id="whom",
                min_width=200,
            )
            how_many = gr.Radio(
                [(str(number), number) for number in range(FEWEST_COLUMNS, MOST_COLUMNS + 1)],
                value=FEWEST_COLUMNS,
                label=texts("compare.how_many"),
                elem_id="how-many",
                min_width=120,
            )
            mark = gr.Checkbox(
                False, label=texts("compare.mark"), elem_id="mark", container=False, min_width=160
            )
            new = gr.Button(texts("compare.new"), size="sm", elem_id="start-over", min_width=90)
        box = build_box(texts)
        waiting = gr.Timer(NEW_MODEL_SECONDS, active=False)
        return cls(
            texts=texts,
            tab=tab,
            count=count,
            asked=gr.State(None),
            how_many=how_many,
            new=new,
            columns=columns,
            whom=whom,
            mark=mark,
            ballot=ballot,
            rating=rating,
            rated=gr.State(1),
            notice=notice,
            box=box,
            waiting=waiting,
        )

    @property
    def rating_parts(self) -> list[Any]:
        """The form that asks for a thumb's reason, as :func:`rating_values` changes it."""
        form = self.rating
        return [form.form, form.title, form.reason, form.comment]

    @property
    def stored(self) -> list[Any]:
        """What the browser keeps of each column."""
        return [column.stored for column in self.columns]

    @property
    def opening(self) -> list[Any]:
        """The parts that :meth:`open` may change."""
        parts = [part for column in self.columns for part in (*column.changing, *column.sampling)]
        return [self.notice, self.waiting, *parts]

    def open(self, opened: Opened) -> dict[Any, Any]:
        """What the page's columns show when it is loaded."""
        values: dict[Any, Any] = {
            self.notice: notice_html(opened.notice.words(self.texts)),
            self.waiting: gr.update(active=not opened.models),
        }
        for column, state, change in zip(self.columns, opened.columns, opened.changes, strict=True):
            values |= column.apply(change)
            values |= {
                column.model: gr.update(choices=list(opened.models), value=state.model),
                column.temperature: state.temperature or 0.0,
                column.top_p: state.top_p,
            }
            if state.max_tokens:
                values[column.max_tokens] = state.max_tokens
        return values

    @property
    def resizing(self) -> list[Any]:
        """The parts that :meth:`resize` changes."""
        return [self.count, self.how_many, self.whom, *(column.box for column in self.columns)]

    def resize(self, count: int) -> dict[Any, Any]:
        """Show so many columns."""
        values: dict[Any, Any] = {
            self.count: count,
            self.how_many: count,
            self.whom: gr.update(choices=whom_choices(count, self.texts), value=ALL),
        }
        return values | {
            column.box: gr.update(visible=column.number <= count) for column in self.columns
        }

    def tell(self, notice: Notice) -> dict[Any, Any]:
        """A notice of the whole page."""
        return {self.notice: notice_html(notice.words(self.texts))}


def whom_choices(count: int, texts: Texts) -> list[tuple[str, int]]:
    """All columns, or one of them."""
    each = [(texts("compare.column", number=number), number) for number in range(1, count + 1)]
    return [(texts("compare.all"), ALL), *each]
