"""What an event of the browser is taken for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from app.ui.elements import growing, packed, unpacked
from app.ui.examples import Example
from app.ui.screen import Draft, Edit
from app.ui.wiring import _draft, _edit, _ids

EXAMPLES = [Example(Path("/a/one.png"), "One?"), Example(Path("/a/two.png"), "Two?")]
BOX = {"text": "Mine?", "files": ["/tmp/mine.png"]}


def event(data: Any) -> gr.EventData:
    return gr.EventData(None, data)


def test_a_plain_event_asks_what_stands_in_the_box() -> None:
    assert _draft(event(None), BOX, EXAMPLES) == Draft("Mine?", ("/tmp/mine.png",))
    assert _draft(event({}), None, EXAMPLES) == Draft()


def test_an_example_is_ours_whatever_the_browser_names() -> None:
    clicked = event({"index": 1, "files": ["/etc/passwd"]})
    assert _draft(clicked, BOX, EXAMPLES) == Draft("Two?", ("/a/two.png",))
    for index in (7, -1, "1", None):
        assert _draft(event({"index": index}), BOX, EXAMPLES).text == "Mine?"


def test_an_edit_names_a_question_and_the_pictures_that_stay() -> None:
    told = {"question_id": "q1", "text": "Else?", "pictures": [0, "1", 2]}
    assert _edit(told) == Edit("q1", "Else?", (0, 2))
    assert _ids(event({"question_id": "q1", "other": 1})) == {"question_id": "q1"}


def test_values_hold_no_tags_and_come_back_whole() -> None:
    data = [{"text": "<script>alert(1)</script> \u4f60"}]
    assert "<" not in packed(data) and unpacked(packed(data)) == data
    assert unpacked("") is None and unpacked(None) is None
    assert "<" not in growing("a < b") and growing("a < b").startswith(growing("a <"))
