"""The page as one thing: how a :class:`app.ui.screen.Change` becomes new values for its parts."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.queue_place import QueuePlace
from app.settings import Settings
from app.ui.elements import growing, packed, unseen_element
from app.ui.examples import Example
from app.ui.history import history_element
from app.ui.language import Texts
from app.ui.parts import (
    Head,
    RatingForm,
    SamplingForm,
    build_box,
    build_chat,
    build_head,
    build_rating,
    build_sampling,
)
from app.ui.screen import REASONS_FOR, Change, Draft, Insight, Models, RatingPanel

STORAGE_KEY = "llava-studio"
STORAGE_SECRET = "llava-studio-tab"
"""Fixed, so that what a browser keeps can be read after a restart; it holds nothing secret from
the person whose browser it is."""


@dataclass(frozen=True)
class View:
    """All parts that handlers read or change, and the language that they speak."""

    texts: Texts
    tab: gr.BrowserState
    history: gr.HTML
    head: Head
    chat: gr.HTML
    pen: gr.HTML
    place: gr.HTML
    insight: gr.HTML
    models: gr.HTML
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
            history=history_element(texts),
            head=build_head(texts),
            chat=build_chat(examples, texts),
            pen=unseen_element("mountPen"),
            place=unseen_element("mountPlace"),
            insight=unseen_element("mountInsight"),
            models=unseen_element("mountModels"),
            rating=build_rating(texts),
            notice=gr.HTML(elem_id="notice"),
            box=build_box(texts),
            sampling=build_sampling(settings, texts),
        )

    @property
    def changing(self) -> list[Any]:
        """The parts that :meth:`apply` may change."""
        head, rating = self.head, self.rating
        return [
            *(self.tab, self.chat, self.notice, self.box),
            *(head.model, head.sees, head.waiting),
            *(self.pen, self.place, self.insight, self.models),
            *(rating.form, rating.title, rating.reason, rating.comment),
        ]

    def apply(self, change: Change) -> dict[Any, Any]:
        """The new values that Gradio is given; parts that are not named stay as they are."""
        values: dict[Any, Any] = {self.notice: gr.skip()}
        if change.tab is not None:
            values[self.tab] = change.tab.store()
        if change.notice is not None:
            values[self.notice] = notice_html(change.notice.words(self.texts))
        if change.written is not None:
            values[self.pen] = growing(change.written)
        if change.place is not None:
            values[self.place] = growing(place_words(change.place, self.texts))
        if change.insight is not None:
            values[self.insight] = packed(self._insight(change.insight))
        if change.panel is not None:
            values |= rating_values(self.rating, change.panel, self.texts)
        if change.models is not None:
            values |= self._models(change.models)
        return values | self._chat(change) | self._box(change.draft, change.busy)

    def _chat(self, change: Change) -> dict[Any, Any]:
        return {} if change.messages is None else {self.chat: packed(change.messages)}

    def _insight(self, insight: Insight) -> dict[str, Any]:
        told: dict[str, Any] = {"answer_id": insight.answer_id}
        if insight.explanation:
            told["explanation"] = insight.explanation.model_dump(mode="json")
        if insight.refused:
            told["refused"] = self.texts.error(insight.refused)
        return told

    def _box(self, draft: Draft | None, busy: bool | None) -> dict[Any, Any]:
        new: dict[str, Any] = {}
        if draft is not None:
            new["value"] = {"text": draft.text, "files": list(draft.files)}
        if busy is not None:
            new |= {"submit_btn": not busy, "stop_btn": busy}
        return {self.box: gr.update(**new)} if new else {}

    def _models(self, models: Models) -> dict[Any, Any]:
        chosen: dict[str, Any] = {"value": models.chosen} if models.news == "all" else {}
        values: dict[Any, Any] = {
            self.head.model: gr.update(choices=list(models.names), **chosen),
            self.models: packed(models.names),
            self.head.waiting: gr.update(active=not models.names),
        }
        if models.news != "names":
            values[self.head.sees] = sees_html(models, self.texts)
        return values


def rating_values(form: RatingForm, panel: RatingPanel, texts: Texts) -> dict[Any, Any]:
    """The question for a rating's reason, or nothing where it is closed."""
    rating = panel.rating
    if rating is None:
        return {form.form: gr.update(visible=False)}
    reasons = REASONS_FOR[rating.value]
    noted, title = texts("rating.noted"), texts(f"rating.{rating.value}")
    return {
        form.form: gr.update(visible=True),
        form.title: f"<p>{noted} <b>{title}</b></p>",
        form.reason: gr.update(
            choices=[(texts(f"rating.{reason}"), reason) for reason in reasons],
            value=rating.reason if rating.reason in reasons else None,
        ),
        form.comment: rating.comment or "",
    }


def notice_html(text: str) -> str:
    """What went wrong, read out by screen readers; nothing for an empty text."""
    return f'<div class="notice" role="alert">{html.escape(text)}</div>' if text else ""


def sees_html(models: Models, texts: Texts) -> str:
    """What the chosen model can and cannot see; in focus, all of it is shown."""
    words = models.sees or texts("head.unknown_sight")
    kind = "sees"
    if not models.chosen:
        words, kind = texts("head.no_model"), "sees none"
    about = html.escape(texts("models.open"))
    return (
        f'<p class="{kind}" tabindex="0">{html.escape(words)}</p>'
        f'<button type="button" class="about-models">{about}</button>'
    )


def place_words(place: QueuePlace, texts: Texts) -> str:
    """How many are before this request, and about how long it will wait."""
    if place.seconds is None:
        return texts("queue.before", before=place.before)
    return texts("queue.before_seconds", before=place.before, seconds=max(1, round(place.seconds)))
