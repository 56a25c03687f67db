"""The page at two widths, light and dark: everything in reach, nothing cut off, usable by keys."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chat import Chat
from tests.browser.conftest import Studio, Visitors

WIDTHS = {"wide": {"width": 1280, "height": 800}, "narrow": {"width": 390, "height": 844}}
EXAMPLE = Path(__file__).resolve().parents[2] / "assets" / "examples" / "street.png"
CONTRAST = """
(selector) => {
  const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) =>
    0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const opaque = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return numbers(getComputedStyle(document.body).backgroundColor);
  };
  const element = document.querySelector(selector);
  const text = luminance(numbers(getComputedStyle(element).color));
  const behind = luminance(opaque(element));
  return (Math.max(text, behind) + 0.05) / (Math.min(text, behind) + 0.05);
}
"""
TEXTS = ("#sees .sees", "#brand h1", "#chat .bubble", "#chat .body p", "#settings .label-wrap")


def fits(page: Page) -> None:
    """Nothing sticks out sideways, and the message box can be seen."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    expect(page.locator("#box")).to_be_in_viewport(ratio=1)
    expect(page.locator("#head")).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_everything_fits_and_can_be_read(
    visitors: Visitors, studio: Studio, width: str, scheme: str
) -> None:
    chat = visitors.open(studio.url, viewport=WIDTHS[width], color_scheme=scheme)
    page = chat.page
    expect(page.get_by_role("button", name="Example 6")).to_be_in_viewport(ratio=0.9)
    fits(page)
    chat.screenshot(f"empty-{width}-{scheme}")
    studio.backend.words = (
        "There are **four things**: a green tree at the left, a red house in the middle, ",
        "a yellow sun at the top right and a blue car at the bottom right.",
    )
    chat.add_picture(EXAMPLE)
    chat.ask("Describe the picture.")
    studio.backend.words = ("The house.",)
    chat.ask("Which thing is in the middle?")
    chat.press("Like")
    expect(chat.rating).to_be_visible()
    fits(page)
    for text in TEXTS:
        assert page.evaluate(CONTRAST, text) >= 4.5, text
    chat.screenshot(f"conversation-{width}-{scheme}")
    page.get_by_role("button", name="Answer settings").click()
    expect(page.get_by_label("number input for Longest answer")).to_be_visible()
    chat.screenshot(f"settings-{width}-{scheme}")


def test_the_page_can_be_used_with_the_keyboard_alone(chat: Chat, studio: Studio) -> None:
    page = chat.page
    expect(chat.box).to_be_focused()
    page.keyboard.type("What is it?")
    page.keyboard.press("Enter")
    chat.finished()
    expect(chat.box).to_be_focused()
    reached = []
    for _ in range(30):
        page.keyboard.press("Shift+Tab")
        name = page.evaluate(
            "document.activeElement.ariaLabel || document.activeElement.textContent"
        )
        reached.append(name.strip())
        if name.strip() == "New chat":
            break
    assert {"Flag", "Like", "Dislike", "Undo", "Retry", "New chat"} <= set(reached)
    page.keyboard.press("Enter")
    expect(chat.answers).to_have_count(0)


def test_every_control_has_a_name(chat: Chat) -> None:
    chat.ask("What is it?")
    snapshot = chat.page.locator("main").aria_snapshot()
    nameless = re.findall(r"- (?:button|textbox|combobox|slider|spinbutton)(?:$|:)", snapshot, re.M)
    assert not nameless, snapshot


MOVING = """
document.getAnimations().filter((each) =>
  each.effect.getComputedTiming().iterations === Infinity && each.playState === "running"
  && each.effect.target.checkVisibility()).length
"""


def test_nothing_moves_where_motion_is_not_wanted(visitors: Visitors, studio: Studio) -> None:
    studio.backend.gate = threading.Semaphore(0)
    chat = visitors.open(studio.url, reduced_motion="reduce")
    chat.send("What is it?")
    expect(chat.log.locator(".thinking")).to_be_visible()
    assert chat.page.evaluate(MOVING) == 0
    assert (
        chat.page.evaluate("getComputedStyle(document.querySelector('#new')).transition") == "none"
    )
    chat.page.emulate_media(reduced_motion="no-preference")
    assert chat.page.evaluate(MOVING) > 0
    studio.backend.gate.release(1000)
    chat.finished()


def test_what_opens_below_does_not_hide_the_answer(visitors: Visitors, studio: Studio) -> None:
    chat = visitors.open(studio.url, viewport=WIDTHS["narrow"])
    for number in range(4):
        chat.ask(f"Question {number}?")
    settings = chat.page.get_by_role("button", name="Answer settings")
    settings.click()
    expect(settings).to_have_attribute("aria-expanded", "true")
    expect(chat.page.get_by_label("number input for Temperature")).to_be_visible()
    expect(chat.answers.last).to_be_in_viewport(ratio=1)
    chat.press("Like")
    expect(chat.rating).to_be_visible()
    expect(chat.answers.last).to_be_in_viewport(ratio=1)
    expect(chat.box).to_be_in_viewport(ratio=1)
