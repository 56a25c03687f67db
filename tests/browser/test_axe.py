"""axe-core finds no serious or critical issue: every page, both widths, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from playwright.sync_api import Page, expect

from app.protocol import ExplainedWord, Explanation
from app.settings import Settings
from app.ui.client import ControllerClient
from app.ui.login import serve_login
from app.worker import api
from tests.browser.axe import faults, faults_in_both_schemes
from tests.browser.chat import Chat
from tests.browser.conftest import Studio, Visitors
from tests.browser.test_looks import EXAMPLE, WIDTHS
from tests.servers import running

LOOKED = Explanation(
    model="scripted",
    words=[
        ExplainedWord(text="red", share=0.5, grids=[[[0.0, 1.0], [0.2, 0.1]]]),
        ExplainedWord(text="circle", share=0.2, grids=[[[0.3, 0.0], [1.0, 0.1]]]),
    ],
)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """One for all tests of this file, which only look."""
    studio = Studio(tmp_path_factory.mktemp("axe") / "data")
    studio.start()
    yield studio
    studio.stop()


async def explained(*_: object) -> Explanation:
    return LOOKED


def calm(visitors: Visitors, url: str, width: str) -> Chat:
    """The page without motion: what is about to change colour has none that could be measured."""
    return visitors.open(url, viewport=WIDTHS[width], reduced_motion="reduce")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_chat(
    visitors: Visitors, studio: Studio, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setattr(api, "_explain", explained)
    studio.backend.words = ("There is **one thing**: ", "a `red` circle. [A link](http://x.org)")
    chat = calm(visitors, studio.url, width)
    page = chat.page
    expect(page.get_by_role("button", name="Example 6")).to_be_visible()
    assert faults_in_both_schemes(page) == [], "empty"
    chat.add_picture(EXAMPLE)
    chat.ask("What is it?")
    chat.press("Where it looked")
    expect(chat.log.get_by_role("option", name="circle")).to_be_visible()
    chat.press("Like")
    expect(chat.rating).to_be_visible()
    page.get_by_role("button", name="Answer settings").click()
    expect(page.get_by_label("number input for Longest answer")).to_be_visible()
    assert faults_in_both_schemes(page) == [], "an answer, its rating, settings"
    chat.press("Edit the question")
    page.keyboard.press("Control+/")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert faults_in_both_schemes(page) == [], "keys"


@pytest.mark.parametrize("width", WIDTHS)
def test_the_other_pages(visitors: Visitors, studio: Studio, width: str) -> None:
    page = calm(visitors, studio.url, width).page
    page.goto(f"{studio.url}/compare")
    box = page.get_by_label("Your message")
    box.fill("What is it?")
    box.press("Enter")
    expect(page.get_by_text("First token")).to_have_count(2)
    assert faults_in_both_schemes(page) == [], "compare"

    page.goto(f"{studio.url}/arena")
    page.get_by_role("button", name="What colour is the star?").first.click()
    ballot = page.get_by_role("button", name="A is better")
    expect(ballot).to_be_enabled()
    assert faults(page) == [], "ballot"
    ballot.click()
    expect(page.get_by_text("You voted: A is better.")).to_be_visible()
    assert faults_in_both_schemes(page) == [], "vote"

    page.goto(f"{studio.url}/leaderboard")
    expect(page.get_by_role("table").first).to_contain_text("scripted")
    assert faults_in_both_schemes(page) == [], "leaderboard"


def test_the_login(visitors: Visitors, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, login=True)
    app = FastAPI()
    serve_login(app, settings, ControllerClient(settings))
    with running(app) as url:
        page = visitors.context(viewport=WIDTHS["narrow"]).new_page()
        page.goto(f"{url}/login")
        assert faults_in_both_schemes(page) == []
        page.goto("about:blank")


def test_axe_finds_what_is_wrong(visitors: Visitors) -> None:
    page: Page = visitors.context().new_page()
    page.set_content("<main><button></button><p style='color:#ccc'>Pale words</p></main>")
    found = " ".join(faults(page))
    assert "critical button-name" in found and "serious color-contrast" in found
