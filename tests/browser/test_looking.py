"""Where an answer looked: the glow lies over the part of the picture that a word attended to."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from app.protocol import ExplainedWord, Explanation
from app.worker import api
from tests.browser.chat import Chat, picture
from tests.browser.conftest import Studio, Visitors

LOOKED = Explanation(
    model="scripted",
    words=[
        ExplainedWord(text="red", share=0.5, grids=[[[0.0, 1.0], [0.0, 0.0]]]),
        ExplainedWord(text="circle", share=0.2, grids=[[[0.0, 0.0], [1.0, 0.0]]]),
    ],
)
CORNERS = """
(canvas) => {
  const drawn = canvas.getContext("2d");
  return [0.25, 0.75].map((y) => [0.25, 0.75].map((x) =>
    drawn.getImageData(x * canvas.width, y * canvas.height, 1, 1).data[0] > 128));
}
"""
"""Of a canvas over a picture: whether the middle of each quarter glows."""


async def explained(*_: object) -> Explanation:
    return LOOKED


def glows(chat: Chat, where: list[list[bool]]) -> None:
    """Wait until these quarters glow, and no others."""
    canvas = chat.log.locator(".looking canvas")
    expect(canvas).to_be_visible()
    handle = canvas.element_handle()
    chat.page.wait_for_function(
        f"([canvas, where]) => JSON.stringify(({CORNERS})(canvas)) === JSON.stringify(where)",
        arg=[handle, where],
    )


def test_each_word_glows_where_it_looked(
    visitors: Visitors, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "_explain", explained)
    chat = visitors.open(studio.url, reduced_motion="reduce")
    chat.add_picture(picture(tmp_path))
    chat.ask("What is it?")
    chat.press("Where it looked")
    words = chat.log.get_by_role("option")
    expect(words).to_have_text(["red", "circle"])
    words.nth(0).hover()
    glows(chat, [[False, True], [False, False]])
    expect(chat.log.get_by_text("50%")).to_be_visible()
    words.nth(1).hover()
    glows(chat, [[False, False], [True, False]])
    # By keys, back to all words together.
    chat.log.get_by_role("listbox").press("Escape")
    glows(chat, [[False, True], [True, False]])
