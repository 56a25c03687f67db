"""The page as one thing: how a :class:`app.ui.screen.Change` becomes new values for its parts."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.settings import Settings
from app.ui.examples import Example
from app.ui.language import Texts
from app.ui.parts import (
    Head,
    PagerRow,
    RatingForm,
    SamplingForm,
    build_box,
    build_chat,
    build_head,
    build_pager,
    build_rating,
    build_sampling,
)
from app.ui.screen import REASONS_FOR, Change, Draft, Models, Pager, RatingPanel

STORAGE_KEY = "llava-studio"
STORAGE_SECRET = "llava-studio-tab"
"""Fixed, so that what a browser keeps can be read after a restart; it holds nothing secret from
the person whose browser it is."""


@dataclass(frozen=True)
class View:
    """All parts that handlers read or change, and the language that they speak."""

    texts: Texts
    tab: gr.BrowserState
    head: Head
    chat: gr.Chatbot
    pager: PagerRow
    rating: RatingForm
    notice: gr.HTML
    box: gr.MultimodalTextbox
    sampling: SamplingForm

    @classmethod
    def build(cls, settings: Settings, examples: list[Example], texts: Texts) -> View:
        """All parts in their places, from top to bottom; call it inside ``gr.Blocks``."""
        return cls(
            texts=texts,
            tab=gr.BrowserState("", storage_key=STORAGE_KEY, secret=STORAGE_SECRET),
            head=build_head(texts),
            chat=build_chat(examples, texts),
            pager=build_pager(texts),
            rating=build_rating(texts),
            notice=gr.HTML(elem_id="notice"),
            box=build_box(texts),
            sampling=build_sampling(settings, texts),
        )

    @property
    def changing(self) -> list[Any]:
        """The parts that :meth:`apply` may change."""
        head, pager, rating = self.head, self.pager, self.rating
        return [
            *(self.tab, self.chat, self.notice, self.box),
            *(head.model, head.sees, head.waiting),
            *(pager.row, pager.former, pager.position, pager.following),
            *(rating.form, rating.title, rating.reason, rating.comment),
        ]

    def apply(self, change: Change) -> dict[Any, Any]:
        """The new values that Gradio is given; parts that are not named stay as they are."""
        values: dict[Any, Any] = {self.notice: gr.skip()}
        if change.tab is not None:
            values[self.tab] = change.tab.store()
        if change.notice is not None:
            values[self.notice] = notice_html(change.notice.words(self.texts))
        if change.pager is not None:
            values |= self._pager(change.pager)
        if change.panel is not None:
            values |= self._rating(change.panel)
        if change.models is not None:
            values |= self._models(change.models)
        return values | self._chat(change) | self._box(change.draft, change.busy)

    def _chat(self, change: Change) -> dict[Any, Any]:
        new: dict[str, Any] = {}
        if change.messages is not None:
            new["value"] = change.messages
        if change.feedback is not None:
            new["feedback_value"] = change.feedback
        return {self.chat: gr.update(**new)} if new else {}

    def _box(self, draft: Draft | None, busy: bool | None) -> dict[Any, Any]:
        new: dict[str, Any] = {}
        if draft is not None:
            new["value"] = {"text": draft.text, "files": list(draft.files)}
        if busy is not None:
            new |= {"submit_btn": not busy, "stop_btn": busy}
        return {self.box: gr.update(**new)} if new else {}

    def _pager(self, pager: Pager) -> dict[Any, Any]:
        text = self.texts("pager.position", position=pager.position, total=pager.total)
        return {
            self.pager.row: gr.update(visible=pager.total > 1),
            self.pager.former: gr.update(interactive=pager.position > 1),
            self.pager.position: f'<span class="position" role="status">{text}</span>',
            self.pager.following: gr.update(interactive=pager.position < pager.total),
        }

    def _rating(self, panel: RatingPanel) -> dict[Any, Any]:
        rating = panel.rating
        if rating is None:
            return {self.rating.form: gr.update(visible=False)}
        reasons = REASONS_FOR[rating.value]
        choices = [(self.texts(f"rating.{reason}"), reason) for reason in reasons]
        known = rating.reason if rating.reason in reasons else None
        noted, title = self.texts("rating.noted"), self.texts(f"rating.{rating.value}")
        return {
            self.rating.form: gr.update(visible=True),
            self.rating.title: f"<p>{noted} <b>{title}</b></p>",
            self.rating.reason: gr.update(choices=choices, value=known),
            self.rating.comment: rating.comment or "",
        }

    def _models(self, models: Models) -> dict[Any, Any]:
        return {
            self.head.model: gr.update(choices=list(models.names), value=models.chosen),
            self.head.sees: sees_html(models, self.texts),
            self.head.waiting: gr.update(active=not models.names),
        }


def notice_html(text: str) -> str:
    """What went wrong, read out by screen readers; nothing for an empty text."""
    return f'<div class="notice" role="alert">{html.escape(text)}</div>' if text else ""


def sees_html(models: Models, texts: Texts) -> str:
    """What the chosen model can and cannot see; in focus, all of it is shown."""
    words = models.sees or texts("head.unknown_sight")
    if not models.chosen:
        words = texts("head.no_model")
    return f'<p class="sees" tabindex="0">{html.escape(words)}</p>'
