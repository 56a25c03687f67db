"""Two people on one studio with logins: each sees their own conversations, and can leave."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.db.store import Store
from tests.browser.chat import Chat, picture
from tests.browser.conftest import Studio, Visitors
from tests.browser.test_history import entries
from tests.browser.test_shared import read, share


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """The whole app with logins, and two users."""
    studio = Studio(tmp_path / "data", login=True, secret="shared")
    store = Store.open(studio.settings)
    for name in ("alice", "bob"):
        store.people.add(name, f"password of {name}")
    store.close()
    studio.start()
    yield studio
    studio.stop()


def log_in(page: Page, name: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(f"password of {name}")
    page.get_by_role("button", name="Log in").click()


def test_everybody_sees_their_own_conversations_and_can_log_out(
    visitors: Visitors, studio: Studio, tmp_path: Path
) -> None:
    page = visitors.context().new_page()
    page.goto(studio.url)
    log_in(page, "alice")
    chat = Chat(page, studio.url).ready()
    chat.add_picture(picture(tmp_path))
    assert chat.ask("What does alice ask?") == "A red circle."
    expect(entries(page)).to_have_text(["What does alice ask?"])
    expect(chat.questions.get_by_role("img")).to_have_js_property("naturalWidth", 160)
    assert studio.rows("select person from conversations") == [("user:alice",)]
    person = page.locator(".history-person")
    expect(person).to_contain_text("alice")
    person.get_by_role("checkbox").check()
    chat.reload()
    expect(person.get_by_role("checkbox")).to_be_checked()
    chat.screenshot("people-wide-light")
    # A link is read without logging in; the conversation's own address is not.
    link = share(page, "What does alice ask?")
    expect(read(visitors, link).get_by_text("A red circle.")).to_be_visible()
    page.keyboard.press("Escape")
    address = page.url
    person.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    page.goto(address)
    log_in(page, "bob")
    # bob comes with alice's address and browser, and sees nothing of hers.
    chat.ready()
    expect(page.get_by_text("What you ask is kept here")).to_be_visible()
    expect(person).to_contain_text("bob")
    expect(chat.questions).to_have_count(0)
    chat.ask("What does bob ask?")
    expect(entries(page)).to_have_text(["What does bob ask?"])
