"""Compare, arena and leaderboard in a real browser, at both widths and in both schemes."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chat import OUTPUT
from tests.browser.conftest import Studio, Visitors
from tests.waiting import eventually

SIZES = {
    "wide-light": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "narrow-dark": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
}


def opened(visitors: Visitors, url: str, size: str) -> Page:
    """A page other than the chat, whose errors fail the test."""
    page = visitors.context(**SIZES[size]).new_page()
    page.goto(url)
    return page


def asked(page: Page, question: str) -> None:
    """Ask all columns, when the page has its models."""
    expect(page.get_by_label("Model of Column 1")).to_have_value("scripted")
    box = page.get_by_label("Your message")
    box.fill(question)
    box.press("Enter")


def fits(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("size", SIZES)
def test_a_blind_battle_is_voted_on_by_a_key_and_counts(
    visitors: Visitors, studio: Studio, size: str
) -> None:
    studio.backend.words, studio.other.words = ("A red ", "circle."), ("It is ", "green.")
    page = opened(visitors, f"{studio.url}/arena", size)
    page.get_by_role("button", name="What colour is the star?").first.click()
    ballot = page.get_by_role("button", name="A is better")
    expect(ballot).to_be_enabled()
    for words in ("A red circle.", "It is green."):
        expect(page.get_by_text(words).first).to_be_visible()
    assert not page.get_by_text("scripted", exact=True).count(), "a name before the vote"
    # Whoever writes the next question does not vote, even after leaving the message box.
    box = page.get_by_label("Your message")
    box.fill("Are there 2?")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("1")
    page.keyboard.press("ArrowRight")
    box.fill("")
    box.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_text("You voted: A is better.")).to_be_visible()
    for name in ("scripted", "other"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    fits(page)
    page.screenshot(path=OUTPUT / f"arena-{size}.png")
    assert studio.rows("select choice from votes") == [("left",)]

    page.goto(f"{studio.url}/leaderboard")
    expect(page.get_by_text("1 counted votes of 1.")).to_be_visible()
    expect(page.get_by_role("table").first).to_contain_text("scripted")
    fits(page)
    page.screenshot(path=OUTPUT / f"leaderboard-{size}.png")


def test_each_key_casts_its_vote(visitors: Visitors, studio: Studio) -> None:
    page = opened(visitors, f"{studio.url}/arena", "wide-light")
    page.get_by_role("button", name="What colour is the star?").first.click()
    expect(page.get_by_role("button", name="A is better")).to_be_enabled()
    page.evaluate("document.activeElement.blur()")
    said = {
        **dict.fromkeys(("1", "ArrowLeft"), "A is better"),
        **dict.fromkeys(("2", "ArrowUp"), "a tie"),
        **dict.fromkeys(("3", "ArrowDown"), "both are bad"),
        **dict.fromkeys(("4", "ArrowRight"), "B is better"),
    }
    pressed = ("1", "2", "3", "4", "ArrowUp", "ArrowRight", "ArrowLeft", "ArrowDown")
    for key in pressed:
        page.keyboard.press(key)
        expect(page.get_by_text(f"You voted: {said[key]}.")).to_be_visible()
    assert len(studio.rows("select choice from votes")) == len(pressed)
    assert studio.rows("select choice from votes where not replaced") == [("both_bad",)]


@pytest.mark.parametrize("size", SIZES)
def test_two_checkpoints_answer_side_by_side(visitors: Visitors, studio: Studio, size: str) -> None:
    studio.other.words = ("Something ", "else.")
    page = opened(visitors, f"{studio.url}/compare", size)
    asked(page, "What is it?")
    for words in ("A red circle.", "Something else."):
        expect(page.get_by_text(words).first).to_be_visible()
    expect(page.get_by_text("First token")).to_have_count(2)
    expect(page.locator("#whom").get_by_text("Column 2")).to_be_in_viewport()
    fits(page)
    page.screenshot(path=OUTPUT / f"compare-{size}.png")
    page.get_by_role("button", name="Continue as a chat").first.or_(
        page.get_by_role("link", name="Continue as a chat").first
    ).first.click()
    expect(page.get_by_role("log").get_by_test_id("bot")).to_have_text("A red circle.")


@pytest.mark.parametrize("size", SIZES)
def test_a_vote_on_two_columns_and_the_reason_of_a_thumb(
    visitors: Visitors, studio: Studio, size: str
) -> None:
    studio.other.words = ("Something ", "else.")
    page = opened(visitors, f"{studio.url}/compare", size)
    expect(page.get_by_role("button", name="Column 1 is better")).to_be_hidden()
    asked(page, "What is it?")
    page.get_by_role("button", name="Column 2 is better").click()
    expect(page.get_by_text("You voted: Column 2 is better.")).to_be_visible()
    page.get_by_role("button", name="Tie").click()
    expect(page.get_by_text("You voted: Tie.")).to_be_visible()
    page.get_by_label("Reason of your vote").fill("both see it")
    page.get_by_label("Reason of your vote").press("Enter")
    eventually(
        lambda: (
            studio.rows("select choice, reason, replaced from votes order by number")
            == [("right", None, 1), ("tie", None, 1), ("tie", "both see it", 0)]
        )
    )
    assert studio.rows("select kind, count(*) from battles group by kind") == [("named", 1)]

    page.get_by_role("button", name="Like", exact=True).first.click()
    expect(page.get_by_text("What is good about it?")).to_be_visible()
    page.get_by_label("It is clear").check()
    # One question at a time, and the answers stay in view.
    expect(page.get_by_role("button", name="Column 1 is better")).to_be_hidden()
    expect(page.get_by_text("A red circle.").first).to_be_in_viewport()
    fits(page)
    page.screenshot(path=OUTPUT / f"compare-reason-{size}.png")
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_text("What is good about it?")).to_be_hidden()
    eventually(lambda: studio.rows("select value, reason from ratings") == [("up", "clear")])
    expect(page.get_by_text("You voted: Tie.")).to_be_visible()
    fits(page)
    page.screenshot(path=OUTPUT / f"compare-vote-{size}.png")
