"""Parts of the page that assets/*.js draws: Python gives them data, they give back events.

They are plain ``gr.HTML``: of a class derived from it Gradio would write a file beside this one.
Data travels as JSON text, because Gradio would send changes of objects piece by piece. What a
person does in the conversation comes as Gradio's own events, with details:

==============  =============================================================
example_select  ``index`` of the example
retry           ``answer_id``, and the ``model`` that is to answer, or null
edit            ``question_id``, ``text``, ``pictures``: which of them stay
select          ``question_id`` or ``answer_id`` of the branch to walk to
like            ``answer_id``, ``value``: up, down or flag
expand          ``answer_id``: where did it look?
undo            nothing
==============  =============================================================
"""

from __future__ import annotations

import html
import json
from typing import Any

import gradio as gr

LESS_THAN = "\ue000"
"""Stands for ``<`` in a growing text: Gradio warns of values that hold tags. A private-use
character (Unicode 23.5), which no model writes; assets/conversation.js turns it back."""


BOX_IS_FREE = """
() => ({ __type__: "update", submit_btn: true, stop_btn: false })
"""
"""JavaScript for the box, once an event has ended: until Gradio has heard of the end, which comes
after the last values, it drops what is sent meanwhile."""


def packed(data: Any) -> str:
    """Data as the value of an element."""
    return json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")


def unpacked(value: Any) -> Any:
    """The data in an element's value; None where there is none."""
    return json.loads(value) if isinstance(value, str) and value else None


def growing(text: str) -> str:
    """A text as the value of an element; while it grows, only what is new travels."""
    return text.replace("<", LESS_THAN)


def conversation_element(label: str, examples: list[dict[str, str]]) -> gr.HTML:
    """The conversation, a list of :class:`app.ui.messages.Message`; the examples while empty."""
    name = html.escape(label, quote=True)
    return gr.HTML(
        "[]",
        html_template=f'<div class="turns" role="log" tabindex="0" aria-label="{name}"></div>',
        js_on_load="studio.mountConversation(element, trigger, props, watch);",
        apply_default_css=False,
        elem_id="chat",
        scale=1,
        examples=examples,
    )


def unseen_element(mount: str) -> gr.HTML:
    """An element that shows nothing itself: ``studio[mount]`` in assets takes its value."""
    return gr.HTML(
        html_template="<i hidden></i>",
        js_on_load=f"studio.{mount}(props, watch);",
        apply_default_css=False,
        elem_classes=["unseen"],
    )
