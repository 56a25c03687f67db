"""One column of the comparison: what the browser keeps of it, and its parts on the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.settings import Settings
from app.ui.chatbot import THUMBS, chat_messages, feedback
from app.ui.compare.figures import figures_html
from app.ui.language import Texts
from app.ui.messages import Message
from app.ui.screen import Change
from app.ui.tab import Tab
from app.ui.view import STORAGE_KEY, STORAGE_SECRET, notice_html

MOST_COLUMNS = 4
OTHER_TEMPERATURE = 0.7
"""Where there are more columns than models, what makes them differ."""


class ColumnTab(Tab):
    """A conversation beside others. ``temperature`` None: nothing was chosen yet."""

    temperature: float | None = None
    top_p: float = 1.0
    max_tokens: int | None = None


@dataclass(frozen=True)
class Column:
    """The parts of one column. ``refused`` keeps a question that its model did not take,
    ``shown`` the messages in ``chat``."""

    number: int
    texts: Texts
    stored: gr.BrowserState
    refused: gr.State
    shown: gr.State
    busy: gr.State
    box: gr.Column
    model: gr.Dropdown
    temperature: gr.Slider
    top_p: gr.Slider
    max_tokens: gr.Slider
    chat: gr.Chatbot
    notice: gr.HTML
    again: gr.Button
    stop: gr.Button
    figures: gr.HTML

    @property
    def name(self) -> str:
        """What the column is called on the page."""
        return self.texts("compare.column", number=self.number)

    @property
    def sampling(self) -> list[Any]:
        """The parts that say which model answers, and how it picks its words."""
        return [self.model, self.temperature, self.top_p, self.max_tokens]

    @property
    def changing(self) -> list[Any]:
        """The parts that :meth:`apply` may change."""
        said = [self.chat, self.notice, self.again, self.stop, self.figures]
        return [self.stored, self.refused, self.shown, self.busy, *said]

    def apply(self, change: Change) -> dict[Any, Any]:
        """New values for the parts; what the change does not name stays."""
        values: dict[Any, Any] = {self.busy: gr.skip()}
        if change.tab is not None:
            values[self.stored] = change.tab.store()
        if change.notice is not None:
            values[self.notice] = notice_html(change.notice.words(self.texts))
        if change.busy is not None:
            values |= {self.busy: change.busy, self.stop: gr.update(visible=change.busy)}
        if change.busy:
            values |= {self.figures: "", self.again: gr.update(visible=False), self.refused: None}
        if change.draft is not None and change.draft.text:
            values |= {self.refused: change.draft, self.again: gr.update(visible=True)}
        if change.answer is not None and change.tab is not None:
            values[self.figures] = figures_html(change.answer, change.tab.conversation, self.texts)
        return values | self._chat(change.messages)

    def _chat(self, messages: list[Message] | None) -> dict[Any, Any]:
        if messages is None:
            return {}
        value = chat_messages(messages, self.texts)
        return {
            self.shown: messages,
            self.chat: gr.update(value=value, feedback_value=feedback(messages)),
        }


def build_column(number: int, shown: bool, settings: Settings, texts: Texts) -> Column:
    """A column, counted from 1; call it inside a ``gr.Row``."""
    name = texts("compare.column", number=number)
    key = f"{STORAGE_KEY}-compare-{number}"
    with gr.Column(visible=shown, elem_classes="compared", min_width=220) as box:
        model = gr.Dropdown(
            [],
            label=texts("compare.model_of", column=name),
            container=False,
            interactive=True,
            min_width=120,
            elem_classes="compared-model",
        )
        with gr.Accordion(texts("sampling.title"), open=False, elem_classes="compared-settings"):
            temperature = gr.Slider(0, 2, 0, step=0.05, label=texts("sampling.temperature"))
            top_p = gr.Slider(0.05, 1, 1, step=0.05, label=texts("sampling.top_p"))
            max_tokens = gr.Slider(
                1,
                max(2048, settings.default_max_tokens),
                settings.default_max_tokens,
                step=1,
                label=texts("sampling.max_tokens"),
            )
        chat = gr.Chatbot(
            label=texts("compare.answers_of", column=name),
            show_label=False,
            height="100%",
            scale=1,
            layout="bubble",
            buttons=["copy"],
            feedback_options=(THUMBS["up"], THUMBS["down"]),
            latex_delimiters=[],
            placeholder=f'<p class="nothing-yet">{texts("compare.empty")}</p>',
            elem_classes="duel",
        )
        notice = gr.HTML(elem_classes="compared-notice")
        figures = gr.HTML(elem_classes="compared-figures")
        again = gr.Button(texts("compare.again"), size="sm", visible=False)
        stop = gr.Button(texts("compare.stop", column=name), size="sm", visible=False)
    return Column(
        number=number,
        texts=texts,
        stored=gr.BrowserState("", storage_key=key, secret=STORAGE_SECRET),
        refused=gr.State(None),
        shown=gr.State([]),
        busy=gr.State(False),
        box=box,
        model=model,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        chat=chat,
        notice=notice,
        again=again,
        stop=stop,
        figures=figures,
    )
