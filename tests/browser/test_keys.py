"""The sheet of keys, and each of the keys that it lists."""

from __future__ import annotations

import threading

from playwright.sync_api import expect

from tests.browser.chat import Chat
from tests.browser.conftest import Studio, Visitors

FOCUSED = "document.activeElement.ariaLabel || document.activeElement.id"


def test_the_sheet_holds_the_focus_and_gives_it_back(chat: Chat) -> None:
    page = chat.page
    expect(chat.box).to_be_focused()
    page.keyboard.type("Is it red?")
    expect(chat.box).to_have_value("Is it red?")
    page.keyboard.press("Escape")
    expect(chat.box).not_to_be_focused()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog.locator("dt")).to_have_count(18)
    chat.screenshot("keys")
    reached = set()
    for key in ("Tab", "Tab", "Tab", "Shift+Tab", "Shift+Tab"):
        page.keyboard.press(key)
        reached.add(page.evaluate(FOCUSED))
        assert page.evaluate("Boolean(document.activeElement.closest('dialog'))"), key
    assert reached == {"Close the list of shortcuts", "studio-single-keys"}
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    button = page.get_by_role("button", name="Keyboard shortcuts")
    button.focus()
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button").press("Enter")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()


def test_the_keys_do_what_the_sheet_says(chat: Chat, studio: Studio) -> None:
    page = chat.page
    page.keyboard.type("First line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("and / are ? here")
    page.keyboard.press("Enter")
    chat.finished()
    assert studio.backend.seen[-1].messages[-1].text == "First line\nand / are ? here"

    studio.backend.gate = threading.Semaphore(1)
    chat.send("Again?")
    expect(chat.answers.last).to_have_text("A")
    page.keyboard.press("Escape")
    expect(chat.log.get_by_text("Stopped before the end.")).to_be_visible()
    studio.backend.gate.release(1000)
    chat.finished()

    page.keyboard.press("Escape")
    expect(chat.box).not_to_be_focused()
    page.keyboard.press("/")
    expect(chat.box).to_be_focused()
    expect(chat.box).to_have_value("")
    page.keyboard.press("Control+/")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(chat.box).to_be_focused()

    chat.log.locator("summary").last.focus()
    page.keyboard.press("Enter")
    choice = chat.log.get_by_role("button", name="other", exact=True)
    expect(choice).to_be_visible()
    page.keyboard.press("Escape")
    expect(choice).to_be_hidden()

    page.keyboard.press("Control+Shift+O")
    expect(chat.answers).to_have_count(0)


def test_keys_of_one_sign_can_be_turned_off(chat: Chat) -> None:
    page = chat.page
    page.keyboard.press("Control+/")
    page.get_by_label("Shortcuts of a single character").uncheck()
    page.keyboard.press("Escape")
    chat.reload()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.keyboard.press("Control+/")
    expect(page.get_by_role("dialog")).to_have_count(1)
    expect(page.get_by_label("Shortcuts of a single character")).not_to_be_checked()


def test_the_sheet_in_chinese_on_any_page(visitors: Visitors, studio: Studio) -> None:
    page = visitors.context(locale="zh-CN").new_page()
    page.goto(f"{studio.url}/zh/leaderboard")
    page.get_by_role("button", name="键盘快捷键").click()
    dialog = page.get_by_role("dialog", name="键盘快捷键")
    expect(dialog.get_by_text("显示本列表")).to_be_visible()
