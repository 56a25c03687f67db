"""The parts of the page, in their places; each builder is called inside ``gr.Blocks``."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from app.settings import Settings
from app.ui.document import asset_url
from app.ui.elements import conversation_element
from app.ui.examples import Example
from app.ui.history import history_opener
from app.ui.language import Texts
from app.ui.navigation import CHAT, build_brand, build_navigation

LONGEST_PASTE = 1_000_000
"""Characters; longer pasted text would become a file."""
UNLISTED = (".heic", ".heif")
"""Picture files that not every system's file chooser takes for pictures."""
NEW_MODEL_SECONDS = 3.0
"""How often a page without any model asks again."""


@dataclass(frozen=True)
class Head:
    """Name, pages, choice of the model, what it sees. ``waiting`` ticks while there is no model."""

    model: gr.Dropdown
    new: gr.Button
    sees: gr.HTML
    waiting: gr.Timer


@dataclass(frozen=True)
class RatingForm:
    """Asks for the reason of a rating."""

    form: gr.Column
    title: gr.HTML
    reason: gr.Radio
    comment: gr.Textbox
    take_back: gr.Button
    done: gr.Button


@dataclass(frozen=True)
class SamplingForm:
    """How the model picks its words."""

    temperature: gr.Slider
    top_p: gr.Slider
    max_tokens: gr.Slider


def build_head(texts: Texts) -> Head:
    """The line at the top, and below it what the model sees."""
    with gr.Row(elem_id="head", equal_height=True):
        history_opener()
        build_brand(texts)
        build_navigation(CHAT, texts)
        model = gr.Dropdown(
            [],
            label=texts("head.model"),
            container=False,
            elem_id="model",
            min_width=120,
            interactive=True,
        )
        new = gr.Button(texts("head.new_chat"), elem_id="new", size="sm", min_width=90, scale=0)
    return Head(model, new, gr.HTML(elem_id="sees"), gr.Timer(NEW_MODEL_SECONDS, active=False))


def build_chat(examples: list[Example], texts: Texts) -> gr.HTML:
    """The conversation; while it is empty, the examples."""
    offered = [
        {"question": example.question, "picture": asset_url(f"examples/{example.image.name}")}
        for example in examples
    ]
    return conversation_element(texts("chat.label"), offered)


def build_rating(texts: Texts) -> RatingForm:
    """Hidden until a rating button is pressed."""
    with gr.Column(visible=False, elem_id="rating") as form:
        title = gr.HTML()
        reason = gr.Radio([], label=texts("rating.reason"), show_label=False, elem_id="reason")
        comment = gr.Textbox(
            label=texts("rating.comment"),
            show_label=False,
            placeholder=texts("rating.comment_hint"),
            elem_id="comment",
            max_length=4000,
            lines=1,
        )
        with gr.Row(elem_id="rating-buttons"):
            take_back = gr.Button(texts("rating.remove"), size="sm", min_width=110, scale=0)
            done = gr.Button(
                texts("rating.done"), size="sm", min_width=80, scale=0, variant="primary"
            )
    return RatingForm(form, title, reason, comment, take_back, done)


def build_box(texts: Texts) -> gr.MultimodalTextbox:
    """Words and pictures of the next question."""
    return gr.MultimodalTextbox(
        label=texts("box.label"),
        show_label=False,
        placeholder=texts("box.hint"),
        file_count="multiple",
        file_types=["image", *UNLISTED],
        sources=["upload"],
        max_plain_text_length=LONGEST_PASTE,
        max_lines=8,
        elem_id="box",
        autofocus=True,
    )


def build_sampling(settings: Settings, texts: Texts) -> SamplingForm:
    """Folded away at the bottom."""
    title = texts("sampling.title")
    with gr.Accordion(title, open=False, elem_id="settings"), gr.Row():
        temperature = gr.Slider(
            0.0,
            2.0,
            value=0.0,
            step=0.05,
            label=texts("sampling.temperature"),
            info=texts("sampling.temperature_hint"),
        )
        top_p = gr.Slider(
            0.05,
            1.0,
            value=1.0,
            step=0.05,
            label=texts("sampling.top_p"),
            info=texts("sampling.top_p_hint"),
        )
        max_tokens = gr.Slider(
            1,
            max(2048, settings.default_max_tokens),
            value=settings.default_max_tokens,
            step=1,
            label=texts("sampling.max_tokens"),
            info=texts("sampling.max_tokens_hint"),
        )
    return SamplingForm(temperature, top_p, max_tokens)
