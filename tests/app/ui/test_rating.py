"""Thumbs, flags, reasons and comments."""

from __future__ import annotations

import pytest

from app.protocol import REASONS, RatingValue
from app.ui.screen import REASONS_FOR, Change, RatingPanel
from tests.app.ui.conftest import Page, said
from tests.app.ui.fake_controller import FakeController


async def press(page: Page, turn: int, value: RatingValue) -> Change:
    answer = page.tab.path[turn] if page.tab.path else "none"
    return page.show(await page.rating.press(page.tab, page.now.messages or [], answer, value))


def marks(page: Page) -> list[RatingValue | None]:
    """The ratings that the shown answers bear."""
    return [message["rating"] for message in (page.now.messages or [])[1::2]]


async def take_back(page: Page) -> None:
    page.show(await page.rating.take_back(page.tab, page.now.messages or []))


async def test_a_thumb_is_stored_and_its_reason_asked_for(page: Page, fake: FakeController) -> None:
    await page.ask("One?")
    await page.ask("Two?")
    await press(page, 0, "down")
    (rating,) = fake.ratings.values()
    assert (rating.answer_id, rating.value, rating.person) == (
        page.tab.path[0],
        "down",
        page.tab.person,
    )
    assert marks(page) == ["down", None]
    assert page.now.panel == RatingPanel(rating)


async def test_a_reason_and_a_comment_join_the_rating(page: Page, fake: FakeController) -> None:
    await page.ask("One?")
    await press(page, 0, "down")
    assert page.now.panel and page.now.panel.rating
    page.show(await page.rating.explain(page.tab, "wrong", " It is blue. "))
    (rating,) = fake.ratings.values()
    assert (rating.value, rating.reason, rating.comment) == ("down", "wrong", "It is blue.")
    assert page.now.panel == RatingPanel()


async def test_the_same_thumb_twice_is_one_rating_with_its_reason(
    page: Page, fake: FakeController
) -> None:
    await page.ask("One?")
    await press(page, 0, "up")
    await page.rating.explain(page.tab, "correct", "")
    await press(page, 0, "up")
    (rating,) = fake.ratings.values()
    assert (rating.value, rating.reason) == ("up", "correct")


async def test_a_double_click_leaves_what_is_being_written_alone(
    page: Page, fake: FakeController
) -> None:
    await page.ask("One?")
    await press(page, 0, "up")
    again = await press(page, 0, "up")
    assert again.panel is None and marks(page) == ["up"] and len(fake.ratings) == 1


async def test_another_button_changes_the_rating(page: Page, fake: FakeController) -> None:
    await page.ask("One?")
    values: tuple[RatingValue, ...] = ("up", "down", "flag")
    for value in values:
        await press(page, 0, value)
        assert [rating.value for rating in fake.ratings.values()] == [value]
        assert marks(page) == [value]


async def test_a_rating_can_be_taken_back(page: Page, fake: FakeController) -> None:
    await page.ask("One?")
    await press(page, 0, "up")
    await take_back(page)
    assert not fake.ratings and marks(page) == [None]
    assert page.now.panel == RatingPanel() and page.tab.rated is None


async def test_a_rating_that_cannot_be_stored_is_said_and_unmarked(page: Page) -> None:
    await page.ask("One?")
    page.rating._client._http.base_url = "http://127.0.0.1:9"
    change = await press(page, 0, "up")
    assert "does not answer" in said(change) and marks(page) == [None]


async def test_an_answer_in_work_cannot_be_rated_yet(page: Page, fake: FakeController) -> None:
    change = await press(page, 0, "up")
    assert change.notice and not fake.ratings


@pytest.mark.parametrize("value", REASONS_FOR)
def test_every_reason_offered_exists(value: str) -> None:
    offered = set(REASONS_FOR[value])  # type: ignore[index]
    assert offered and offered <= set(REASONS)


def test_every_reason_is_offered_somewhere() -> None:
    offered = {reason for reasons in REASONS_FOR.values() for reason in reasons}
    assert offered == set(REASONS)
