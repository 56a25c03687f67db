"""Texts that break layouts, and browsers that keep nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.chat import Chat
from tests.browser.conftest import Studio, Visitors
from tests.browser.test_looks import WIDTHS, fits

HEBREW = "מה רואים בתמונה? 🦙🌋 שלוש"
FAMILY = "👩‍👩‍👧‍👦"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """One for all tests of this file."""
    studio = Studio(tmp_path_factory.mktemp("odd") / "data")
    studio.backend.info = studio.backend.info.model_copy(update={"context_length": 20_000})
    studio.start()
    yield studio
    studio.stop()


def inside(chat: Chat) -> bool:
    """Whether no question and no answer sticks out of the conversation."""
    inside: bool = chat.log.evaluate("(log) => log.scrollWidth <= log.clientWidth")
    return inside


@pytest.mark.parametrize("width", WIDTHS)
def test_no_text_is_too_long_or_too_strange(visitors: Visitors, studio: Studio, width: str) -> None:
    chat = visitors.open(studio.url, viewport=WIDTHS[width])
    sent = ("word " * 1599 + "end.!")[:8000]
    assert len(sent) == 8000
    word = "a" * 10_000
    for text, said in ((sent, "Read."), (word, f"It is {word}."), (HEBREW, f"{HEBREW} {FAMILY}")):
        studio.backend.words = (said,)
        chat.ask(text)
        assert studio.backend.seen[-1].messages[-1].text == text
        expect(chat.questions.last).to_contain_text(text)
        expect(chat.answers.last).to_have_text(said)
        fits(chat.page)
        assert inside(chat), text[:20]
    for shown in (chat.questions.last.locator("[dir=auto]"), chat.answers.last):
        assert shown.evaluate("(element) => getComputedStyle(element).direction") == "rtl"
    chat.screenshot(f"strange-texts-{width}")
    chat.reload()
    expect(chat.questions).to_have_count(3)
    expect(chat.answers.last).to_have_text(f"{HEBREW} {FAMILY}")


BLOCKED = """
const get = () => { throw new DOMException("Blocked.", "SecurityError"); };
for (const name of ["localStorage", "sessionStorage"]) {
  Object.defineProperty(window, name, { get, configurable: true });
}
Object.defineProperty(navigator, "cookieEnabled", { get: () => false });
Object.defineProperty(document, "cookie", { get: () => "", set: () => {} });
"""
"""What a browser does that is told to block cookies: there are none, and all storage throws."""


def test_with_cookies_blocked_the_page_works_and_says_what_it_cannot(
    visitors: Visitors, studio: Studio
) -> None:
    studio.backend.words = ("A red ", "circle.")
    context = visitors.context()
    context.add_init_script(BLOCKED)
    chat = visitors.open(studio.url, context)
    notice = chat.page.get_by_role("alert").filter(has_text="blocks cookies")
    expect(notice).to_be_visible()
    chat.screenshot("cookies-blocked")
    notice.get_by_role("button").click()
    expect(notice).to_have_count(0)
    for _ in range(2):
        assert chat.ask("What is it?") == "A red circle."
    assert len(studio.backend.seen[-1].messages) == 3, "the second question knows of the first"
    chat.page.keyboard.press("Control+/")
    expect(chat.page.get_by_role("dialog")).to_be_visible()
