"""The parts of the page, and how a :class:`app.ui.screen.Change` becomes new values for them."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.settings import ROOT, Settings
from app.ui.examples import Example
from app.ui.messages import THUMBS
from app.ui.screen import REASONS_FOR, Change, Draft, Models, Pager, RatingPanel

LOGO = ROOT / "assets" / "logo.svg"
STORAGE_KEY = "llava-studio"
STORAGE_SECRET = "llava-studio-tab"
"""Fixed, so that what a browser keeps can be read after a restart; it holds nothing secret from
the person whose browser it is."""
LONGEST_PASTE = 1_000_000
"""Characters; longer pasted text would become a file."""

TITLES = {"up": "What is good about it?", "down": "What is wrong with it?", "flag": "Why?"}
PLACEHOLDER = """
<div class="welcome">
<h2>Talk about a picture</h2>
<p>Drop one in, paste it, or add it with the paper clip. Or start with one of these:</p>
</div>
"""


@dataclass(frozen=True)
class View:
    """All parts that handlers read or change."""

    tab: gr.BrowserState
    model: gr.Dropdown
    sees: gr.HTML
    new: gr.Button
    chat: gr.Chatbot
    pager: gr.Row
    former: gr.Button
    position: gr.HTML
    next: gr.Button
    panel: gr.Column
    question: gr.HTML
    reason: gr.Radio
    comment: gr.Textbox
    done: gr.Button
    take_back: gr.Button
    notice: gr.HTML
    box: gr.MultimodalTextbox
    temperature: gr.Slider
    top_p: gr.Slider
    max_tokens: gr.Slider
    waiting: gr.Timer

    def apply(self, change: Change) -> dict[Any, Any]:
        """The new values that Gradio is given; parts that are not named stay as they are."""
        values: dict[Any, Any] = {self.notice: gr.skip()}
        if change.tab is not None:
            values[self.tab] = change.tab.store()
        if change.notice is not None:
            values[self.notice] = notice_html(change.notice)
        values |= self._chat(change)
        if change.pager is not None:
            values |= self._pager(change.pager)
        if change.panel is not None:
            values |= self._panel(change.panel)
        if change.models is not None:
            values |= self._models(change.models)
        values |= self._box(change.draft, change.busy)
        return values

    @property
    def changing(self) -> list[Any]:
        """The parts that :meth:`apply` may change."""
        return [
            self.tab,
            self.model,
            self.sees,
            self.chat,
            self.pager,
            self.former,
            self.position,
            self.next,
            self.panel,
            self.question,
            self.reason,
            self.comment,
            self.notice,
            self.box,
            self.waiting,
        ]

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
        text = f"Answer {pager.position} of {pager.total}"
        return {
            self.pager: gr.update(visible=pager.total > 1),
            self.former: gr.update(interactive=pager.position > 1),
            self.next: gr.update(interactive=pager.position < pager.total),
            self.position: f'<span class="position" role="status">{text}</span>',
        }

    def _panel(self, panel: RatingPanel) -> dict[Any, Any]:
        rating = panel.rating
        if rating is None:
            return {self.panel: gr.update(visible=False)}
        reasons = REASONS_FOR[rating.value]
        known = rating.reason if rating.reason in reasons.values() else None
        return {
            self.panel: gr.update(visible=True),
            self.question: f'<p class="thanks">Noted. <b>{TITLES[rating.value]}</b></p>',
            self.reason: gr.update(choices=list(reasons.items()), value=known),
            self.comment: rating.comment or "",
        }

    def _models(self, models: Models) -> dict[Any, Any]:
        return {
            self.model: gr.update(choices=list(models.names), value=models.chosen),
            self.sees: sees_html(models),
            self.waiting: gr.update(active=not models.names),
        }


def notice_html(text: str) -> str:
    """What went wrong, read out by screen readers; nothing for an empty text."""
    return f'<div class="notice" role="alert">{html.escape(text)}</div>' if text else ""


def sees_html(models: Models) -> str:
    """What the chosen model can and cannot see."""
    if not models.chosen:
        return '<p class="sees">No model is ready yet.</p>'
    words = html.escape(models.sees or "Its maker does not say what it can see.")
    return f'<p class="sees">{words}</p>'


def build(settings: Settings, examples: list[Example]) -> View:
    """All parts in their places; call it inside ``gr.Blocks``."""
    tab = gr.BrowserState("", storage_key=STORAGE_KEY, secret=STORAGE_SECRET)
    waiting = gr.Timer(3.0, active=False)
    with gr.Row(elem_id="head", equal_height=True):
        gr.HTML(_brand(), elem_id="brand")
        model = gr.Dropdown(
            [], label="Model", container=False, elem_id="model", min_width=120, interactive=True
        )
        new = gr.Button("New chat", elem_id="new", size="sm", min_width=90, scale=0)
    sees = gr.HTML(elem_id="sees")
    chat = _chat(examples)
    with gr.Row(visible=False, elem_id="pager") as pager:
        former = gr.Button("‹ Former", elem_id="former", size="sm", min_width=80, scale=0)
        position = gr.HTML(elem_id="position")
        next_one = gr.Button("Next ›", elem_id="next", size="sm", min_width=80, scale=0)
    with gr.Column(visible=False, elem_id="rating") as panel:
        question = gr.HTML()
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
    notice = gr.HTML(elem_id="notice")
    box = gr.MultimodalTextbox(
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
    return View(
        tab=tab,
        model=model,
        sees=sees,
        new=new,
        chat=chat,
        pager=pager,
        former=former,
        position=position,
        next=next_one,
        panel=panel,
        question=question,
        reason=reason,
        comment=comment,
        done=done,
        take_back=take_back,
        notice=notice,
        box=box,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        waiting=waiting,
    )


def _brand() -> str:
    return f"{LOGO.read_text('utf-8')}<h1>LLaVA Studio</h1>"


def _chat(examples: list[Example]) -> gr.Chatbot:
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
        placeholder=PLACEHOLDER,
        examples=[
            {"text": example.question, "files": [str(example.image)]} for example in examples
        ],
    )
