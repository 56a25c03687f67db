"""The page in Chinese, by the browser's language and by the switch."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Studio, Visitors


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
