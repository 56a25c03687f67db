"""What is sent the moment an answer is there is asked, however late Gradio hears of the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app.ui.answering import Answering
from app.ui.arena.handlers import ArenaHandlers
from tests.browser.chat import Chat
from tests.browser.conftest import Studio, Visitors


def ends_late(monkeypatch: pytest.MonkeyPatch, handlers: type, name: str) -> None:
    """A second passes between the last values of an event and its end."""
    asks = getattr(handlers, name)

    async def late(*arguments: Any) -> AsyncGenerator[Any, None]:
        async for change in asks(*arguments):
            yield change
        await asyncio.sleep(1)

    monkeypatch.setattr(handlers, name, late)


def test_a_second_question_right_after_an_answer(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends_late(monkeypatch, Answering, "send")
    chat.ask("What is it?")
    chat.ask("Are you sure?")
    expect(chat.answers).to_have_count(2)


def test_a_second_question_right_after_both_answers_of_a_battle(
    visitors: Visitors, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends_late(monkeypatch, ArenaHandlers, "ask")
    studio.other.words = studio.backend.words
    page: Page = visitors.context().new_page()
    page.goto(f"{studio.url}/arena")
    box = page.get_by_label("Your message")
    for count, question in enumerate(("What is it?", "Are you sure?"), start=1):
        box.fill(question)
        box.press("Enter")
        expect(page.get_by_text("A red circle.")).to_have_count(2 * count)
        expect(page.get_by_role("button", name="Submit")).to_be_visible()
