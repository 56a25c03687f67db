"""Read-only links: made, read by anybody, revoked."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.chat import OUTPUT, Chat, picture
from tests.browser.conftest import Studio, Visitors
from tests.browser.test_history import menu
from tests.browser.test_looks import WIDTHS

ANSWER = "It is **red**, with `code`:\n\n$$x^2$$\n\n<b onclick=alert(1)>no</b>"


def share(page: Page, title: str) -> str:
    """Make a link in the dialog, which stays open; returns it."""
    menu(page, title, "Share by link")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Make a link").click()
    return dialog.get_by_label("Link").input_value()


def read(visitors: Visitors, link: str, **options: object) -> Page:
    """What somebody sees who was given the link."""
    page = visitors.context(**options).new_page()
    page.goto(link)
    return page


def test_a_link_shows_the_conversation_as_it_was_until_it_is_revoked(
    chat: Chat, visitors: Visitors, studio: Studio, tmp_path: Path
) -> None:
    studio.backend.words = (ANSWER,)
    chat.add_picture(picture(tmp_path))
    chat.ask("What is it?")
    link = share(chat.page, "What is it?")
    chat.screenshot("sharing-wide-light")
    chat.page.keyboard.press("Escape")
    studio.backend.words = ("Later.",)
    chat.ask("And later?")

    page = read(visitors, link)
    expect(page.get_by_role("heading", name="What is it?")).to_be_visible()
    expect(page.get_by_test_id("bot")).to_have_count(1)
    expect(page.get_by_test_id("bot").locator("strong")).to_have_text("red")
    expect(page.locator(".katex")).to_have_count(1)
    expect(page.get_by_text("<b onclick=alert(1)>no</b>")).to_be_visible()
    expect(page.get_by_test_id("user").get_by_role("img")).to_have_js_property("naturalWidth", 160)
    buttons = page.locator("#chat").get_by_role("button")
    expect(buttons).to_have_count(3)  # the picture in large, and each text to be copied
    page.get_by_role("button", name="Open picture 1 large").click()
    expect(page.get_by_role("dialog", name="Picture")).to_be_visible()
    page.keyboard.press("Escape")
    page.screenshot(path=OUTPUT / "shared-wide-light.png")
    narrow = read(visitors, link, viewport=WIDTHS["narrow"], color_scheme="dark", locale="zh-CN")
    expect(narrow.get_by_text("自己来提问")).to_be_visible()
    assert narrow.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    narrow.screenshot(path=OUTPUT / "shared-narrow-dark.png")

    menu(chat.page, "What is it?", "Share by link")
    dialog = chat.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Revoke").click()
    expect(dialog.get_by_text("Revoked: the link leads nowhere now.")).to_be_visible()
    for nowhere in (link, f"{studio.url}/shared/unknown"):
        reply = page.goto(nowhere)
        assert reply and reply.status == 404
        expect(page.get_by_role("heading", name="This link leads nowhere")).to_be_visible()
    page.screenshot(path=OUTPUT / "shared-revoked.png")
