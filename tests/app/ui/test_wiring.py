"""What an event of the browser is taken for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from app.ui.examples import Example
from app.ui.screen import Draft
from app.ui.wiring import _button, _draft, _is_retry

EXAMPLES = [Example(Path("/a/one.png"), "One?"), Example(Path("/a/two.png"), "Two?")]
BOX = {"text": "Mine?", "files": ["/tmp/mine.png"]}


def event(data: Any) -> gr.EventData:
    return gr.EventData(None, data)


def test_a_plain_event_asks_what_stands_in_the_box() -> None:
    assert _draft(event(None), BOX, EXAMPLES) == Draft("Mine?", ("/tmp/mine.png",))
    assert _draft(event({}), None, EXAMPLES) == Draft()
    assert not _is_retry(event(None))


@pytest.mark.parametrize("value", ["Asked?", [{"type": "text", "text": "Asked?"}]])
def test_a_retry_names_its_question(value: object) -> None:
    assert _is_retry(event({"index": 0, "value": value}))


def test_an_example_is_ours_whatever_files_the_browser_names() -> None:
    clicked = event({"index": 1, "value": {"text": "Spy?", "files": [{"path": "/etc/passwd"}]}})
    assert not _is_retry(clicked)
    assert _draft(clicked, BOX, EXAMPLES) == Draft("Two?", ("/a/two.png",))


@pytest.mark.parametrize(
    ("liked", "button"), [(True, "Like"), (False, "Dislike"), ("Flag", "Flag"), ("", "")]
)
def test_rating_buttons_by_name(liked: bool | str, button: str) -> None:
    assert _button(gr.LikeData(None, {"index": 1, "value": "", "liked": liked})) == button
