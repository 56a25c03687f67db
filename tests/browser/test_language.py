"""The page in Chinese, by the browser's language and by the switch."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.chat import OUTPUT
from tests.browser.conftest import Studio, Visitors
from tests.browser.test_arena import SIZES, fits


def test_a_chinese_browser_gets_chinese_and_the_switch_is_remembered(
    visitors: Visitors, studio: Studio
) -> None:
    context = visitors.context(locale="zh-CN")
    page = context.new_page()
    page.goto(studio.url)
    expect(page.get_by_role("button", name="新对话")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    page.get_by_label("你的消息").fill("这是什么？")
    page.get_by_label("你的消息").press("Enter")
    expect(page.get_by_text("A red circle.")).to_be_visible()
    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("button", name="New chat")).to_be_visible()
    expect(page.get_by_text("A red circle.")).to_be_visible()
    assert "language" not in page.url
    page.goto(studio.url)
    expect(page.get_by_role("button", name="New chat")).to_be_visible()


@pytest.mark.parametrize("size", SIZES)
def test_pictures_of_the_chinese_pages(visitors: Visitors, studio: Studio, size: str) -> None:
    studio.backend.words = (
        "There are four things: a green tree, a red house, ",
        "a sun and a car.",
    )
    studio.other.words = ("A house ", "and a tree.")
    page = visitors.context(locale="zh-CN", **SIZES[size]).new_page()
    page.goto(studio.url)
    page.get_by_role("button", name="Describe the picture.").click()
    expect(page.get_by_role("log").get_by_test_id("bot")).to_contain_text("a car.")
    expect(page.get_by_role("button", name="赞", exact=True)).to_be_visible()
    fits(page)
    page.screenshot(path=OUTPUT / f"chat-zh-{size}.png")
    page.goto(f"{studio.url}/zh/arena")
    page.get_by_role("button", name="Describe the picture.").first.click()
    ballot = page.get_by_role("button", name="A 更好")
    expect(ballot).to_be_enabled()
    ballot.click()
    expect(page.get_by_text("你的投票：A 更好。")).to_be_visible()
    fits(page)
    page.screenshot(path=OUTPUT / f"arena-zh-{size}.png")
    page.goto(f"{studio.url}/zh/leaderboard")
    expect(page.get_by_role("table").first).to_contain_text("scripted")
    fits(page)
    page.screenshot(path=OUTPUT / f"leaderboard-zh-{size}.png")
