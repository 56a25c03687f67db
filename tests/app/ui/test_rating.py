"""Thumbs, flags, reasons and comments."""

from __future__ import annotations

import pytest

from app.protocol import REASONS
from app.ui.screen import REASONS_FOR, RatingPanel
from tests.app.ui.conftest import Page, said
from tests.app.ui.fake_controller import FakeController


async def press(page: Page, message: int, button: str) -> None:
    for change in await page.rating.press(page.tab, message, button):
        page.show(change)


async def test_a_thumb_is_stored_and_its_reason_asked_for(page: Page, fake: FakeController) -> None:
    await page.ask("One?")
    await page.ask("Two?")
    await press(page, 1, "Dislike")
    (rating,) = fake.ratings.values()
    assert (rating.answer_id, rating.value, rating.person) == (
        page.tab.path[0],
        "down",
        page.tab.person,
    )
    assert page.now.feedback == ["Dislike", None]
    assert page.now.panel == RatingPanel(rating)


async def test_a_reason_and_a_comment_join_the_rating(page: Page, fake: FakeController) -> None:
    await page.ask("One?")
    await press(page, 1, "Dislike")
    assert page.now.panel and page.now.panel.rating
    page.show(await page.rating.explain(page.tab, "wrong", " It is blue. "))
    (rating,) = fake.ratings.values()
    assert (rating.value, rating.reason, rating.comment) == ("down", "wrong", "It is blue.")
    assert page.now.panel == RatingPanel()


async def test_the_same_thumb_twice_is_one_rating_with_its_reason(
    page: Page, fake: FakeController
) -> None:
    await page.ask("One?")
    await press(page, 1, "Like")
    await page.rating.explain(page.tab, "correct", "")
    changes = await page.rating.press(page.tab, 1, "")
    assert [change.feedback for change in changes] == [[None], ["Like"]]
    await press(page, 1, "Like")
    (rating,) = fake.ratings.values()
    assert (rating.value, rating.reason) == ("up", "correct")


async def test_a_double_click_leaves_what_is_being_written_alone(
    page: Page, fake: FakeController
) -> None:
    await page.ask("One?")
    await press(page, 1, "Like")
    again = await page.rating.press(page.tab, 1, "")
    assert [change.panel for change in again] == [None, None]
    assert again[-1].feedback == ["Like"] and len(fake.ratings) == 1


async def test_another_button_changes_the_rating(page: Page, fake: FakeController) -> None:
    await page.ask("One?")
    for button, value in [("Like", "up"), ("Dislike", "down"), ("Flag", "flag")]:
        await press(page, 1, button)
        assert [rating.value for rating in fake.ratings.values()] == [value]
        assert page.now.feedback == [button]


async def test_a_rating_can_be_taken_back(page: Page, fake: FakeController) -> None:
    await page.ask("One?")
    await press(page, 1, "Like")
    page.show(await page.rating.take_back(page.tab))
    assert not fake.ratings and page.now.feedback == [None]
    assert page.now.panel == RatingPanel() and page.tab.rated is None


async def test_a_rating_that_cannot_be_stored_is_said_and_unmarked(page: Page) -> None:
    await page.ask("One?")
    page.rating._client._http.base_url = "http://127.0.0.1:9"
    first, second = await page.rating.press(page.tab, 1, "Like")
    assert "does not answer" in said(first) and second.feedback == [None]


async def test_an_answer_in_work_cannot_be_rated_yet(page: Page, fake: FakeController) -> None:
    change, _ = await page.rating.press(page.tab, 1, "Like")
    assert change.notice and not fake.ratings


@pytest.mark.parametrize("value", REASONS_FOR)
def test_every_reason_offered_exists(value: str) -> None:
    offered = set(REASONS_FOR[value])  # type: ignore[index]
    assert offered and offered <= set(REASONS)


def test_every_reason_is_offered_somewhere() -> None:
    offered = {reason for reasons in REASONS_FOR.values() for reason in reasons}
    assert offered == set(REASONS)
