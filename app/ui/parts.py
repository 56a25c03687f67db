"""The parts of the page, in their places; each builder is called inside ``gr.Blocks``."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from app.settings import Settings
from app.ui.examples import Example
from app.ui.messages import THUMBS
from app.ui.navigation import CHAT, build_brand, build_navigation

LONGEST_PASTE = 1_000_000
"""Characters; longer pasted text would become a file."""
NEW_MODEL_SECONDS = 3.0
"""How often a page without any model asks again."""
WELCOME = """
<div class="welcome">
<h2>Talk about a picture</h2>
<p>Drop one in, paste it, or add it with the paper clip. Or start with one of these:</p>
</div>
"""


@dataclass(frozen=True)
class Head:
    """Name, pages, choice of the model, what it sees. ``waiting`` ticks while there is no model."""

    model: gr.Dropdown
    new: gr.Button
    sees: gr.HTML
    waiting: gr.Timer


@dataclass(frozen=True)
class PagerRow:
    """Walks between the answers to the last question."""

    row: gr.Row
    former: gr.Button
    position: gr.HTML
    following: gr.Button


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


def build_head() -> Head:
    """The line at the top, and below it what the model sees."""
    with gr.Row(elem_id="head", equal_height=True):
        build_brand()
        build_navigation(CHAT)
        model = gr.Dropdown(
            [], label="Model", container=False, elem_id="model", min_width=120, interactive=True
        )
        new = gr.Button("New chat", elem_id="new", size="sm", min_width=90, scale=0)
    return Head(model, new, gr.HTML(elem_id="sees"), gr.Timer(NEW_MODEL_SECONDS, active=False))


def build_chat(examples: list[Example]) -> gr.Chatbot:
    """The conversation; while it is empty, the examples."""
    return gr.Chatbot(
        label="Conversation",
        show_label=False,
        elem_id="chat",
        height="100%",
        scale=1,
        layout="bubble",
        buttons=["copy"],
        feedback_options=tuple(THUMBS.values()),
        latex_delimiters=[],
        placeholder=WELCOME,
        examples=[
            {"text": example.question, "files": [str(example.image)]} for example in examples
        ],
    )


def build_pager() -> PagerRow:
    """Hidden until there is a second answer."""
    with gr.Row(visible=False, elem_id="pager") as row:
        former = gr.Button("‹ Former", size="sm", min_width=80, scale=0)
        position = gr.HTML(elem_id="position")
        following = gr.Button("Next ›", size="sm", min_width=80, scale=0)
    return PagerRow(row, former, position, following)


def build_rating() -> RatingForm:
    """Hidden until a rating button is pressed."""
    with gr.Column(visible=False, elem_id="rating") as form:
        title = gr.HTML()
        reason = gr.Radio([], label="Reason", show_label=False, elem_id="reason")
        comment = gr.Textbox(
            label="Comment",
            show_label=False,
            placeholder="Anything to add? (optional)",
            elem_id="comment",
            max_length=4000,
            lines=1,
        )
        with gr.Row(elem_id="rating-buttons"):
            take_back = gr.Button("Remove rating", size="sm", min_width=110, scale=0)
            done = gr.Button("Done", size="sm", min_width=80, scale=0, variant="primary")
    return RatingForm(form, title, reason, comment, take_back, done)


def build_box() -> gr.MultimodalTextbox:
    """Words and pictures of the next question."""
    return gr.MultimodalTextbox(
        label="Your message",
        show_label=False,
        placeholder="Ask about a picture",
        file_count="multiple",
        file_types=["image"],
        sources=["upload"],
        max_plain_text_length=LONGEST_PASTE,
        max_lines=8,
        elem_id="box",
        autofocus=True,
    )


def build_sampling(settings: Settings) -> SamplingForm:
    """Folded away at the bottom."""
    with gr.Accordion("Answer settings", open=False, elem_id="settings"), gr.Row():
        temperature = gr.Slider(
            0.0,
            2.0,
            value=0.0,
            step=0.05,
            label="Temperature",
            info="0 takes the likeliest word each time: Retry then repeats the answer.",
        )
        top_p = gr.Slider(
            0.05,
            1.0,
            value=1.0,
            step=0.05,
            label="Top-p",
            info="Below 1 leaves out the unlikeliest words.",
        )
        max_tokens = gr.Slider(
            1,
            max(2048, settings.default_max_tokens),
            value=settings.default_max_tokens,
            step=1,
            label="Longest answer",
            info="In tokens: a short word, or a part of a long one.",
        )
    return SamplingForm(temperature, top_p, max_tokens)
