"""What is asked while a page is still opening is asked, stays in view, and is the person's own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from app.protocol import ModelInfo
from app.ui.client import ControllerClient
from tests.browser.conftest import Studio, Visitors


class SlowOpening:
    """Holds back the list of models, for which every page asks as it opens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._may = threading.Event()
        self.held = 0
        self.passed = 0
        listed = ControllerClient.list_models

        async def slow(client: ControllerClient) -> list[ModelInfo]:
            self.held += 1
            while not self._may.is_set():
                await asyncio.sleep(0.01)
            try:
                return await listed(client)
            finally:
                self.passed += 1

        monkeypatch.setattr(ControllerClient, "list_models", slow)

    def end(self, page: Page) -> None:
        """Let the page open, and give it the time to show what came of it."""
        assert self.held and not self.passed
        self._may.set()
        page.wait_for_timeout(1000)
        assert self.passed


@pytest.fixture
def opening(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowOpening]:
    slow = SlowOpening(monkeypatch)
    yield slow
    slow._may.set()


def send(page: Page, question: str) -> None:
    box = page.get_by_label("Your message")
    box.fill(question)
    box.press("Enter")


def test_a_battle_that_begins_before_the_arena_has_opened(
    visitors: Visitors, studio: Studio, opening: SlowOpening
) -> None:
    page = visitors.context().new_page()
    page.goto(f"{studio.url}/arena")
    page.get_by_role("button", name="What colour is the star?").first.click()
    ballot = page.get_by_role("button", name="A is better")
    expect(ballot).to_be_enabled()
    opening.end(page)
    expect(ballot).to_be_visible()
    ballot.click()
    expect(page.get_by_text("You voted: A is better.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("You voted: A is better.")).to_be_visible()


def test_a_question_that_is_sent_before_the_chat_has_opened(
    visitors: Visitors, studio: Studio, opening: SlowOpening
) -> None:
    page = visitors.context().new_page()
    page.goto(studio.url)
    send(page, "What is it?")
    answer = page.get_by_role("log").get_by_test_id("bot")
    expect(answer).to_have_text("A red circle.")
    opening.end(page)
    expect(page.locator("#sees .sees")).to_contain_text("coloured shapes")
    expect(answer).to_have_text("A red circle.")
    page.reload()
    expect(answer).to_have_text("A red circle.")


def test_columns_that_are_asked_before_they_have_opened(
    visitors: Visitors, studio: Studio, opening: SlowOpening
) -> None:
    page = visitors.context().new_page()
    page.goto(f"{studio.url}/compare")
    send(page, "What is it?")
    expect(page.get_by_text("A red circle.").first).to_be_visible()
    opening.end(page)
    expect(page.get_by_label("Model of Column 1")).to_have_value("scripted")
    expect(page.get_by_text("A red circle.").first).to_be_visible()
    expect(page.get_by_text("First token")).to_have_count(2)


def test_columns_that_are_added_before_they_have_opened(
    visitors: Visitors, studio: Studio, opening: SlowOpening
) -> None:
    page = visitors.context().new_page()
    page.goto(f"{studio.url}/compare")
    page.locator("#how-many").get_by_role("radio", name="3").check()
    expect(page.get_by_label("Model of Column 3")).to_be_visible()
    opening.end(page)
    expect(page.get_by_label("Model of Column 3")).to_be_visible()
