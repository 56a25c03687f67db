"""What people do that nobody plans for: deleted elsewhere, gone back, left early, blocked."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.chat import Chat
from tests.browser.conftest import Studio, Visitors
from tests.browser.test_history import entries, menu
from tests.browser.test_interruptions import begin
from tests.waiting import eventually

BLOCKED = """
for (const name of ["localStorage", "sessionStorage"]) {
  const get = () => { throw new DOMException("blocked", "SecurityError"); };
  Object.defineProperty(window, name, { get, configurable: true });
}
Object.defineProperty(Document.prototype, "cookie", { get: () => "", set: () => {} });
"""


def test_a_conversation_deleted_in_another_tab_says_so_and_loses_no_question(
    visitors: Visitors, studio: Studio
) -> None:
    context = visitors.context()
    first = visitors.open(studio.url, context)
    first.ask("What is it?")
    second = visitors.open(first.page.url, context)
    expect(second.answers).to_have_count(1)
    menu(second.page, "What is it?", "Delete")
    second.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(second.answers).to_have_count(0)
    first.send("Still there?")
    first.says(re.compile("no conversation|not there"))
    expect(first.box).to_have_value("Still there?")
    first.press("Retry", of=0)
    first.says(re.compile("no conversation|not there"))
    # A new chat takes the question; the list knows nothing of the deleted one any more.
    first.page.get_by_role("button", name="New chat").click()
    expect(first.answers).to_have_count(0)
    assert first.ask("Still there?") == "A red circle."
    expect(entries(first.page)).to_have_text(["Still there?"])
    # Its address leads to an empty chat.
    first.page.go_back()
    expect(first.answers).to_have_count(0)
    assert studio.rows("select title from conversations") == [("Still there?",)]


def test_another_conversation_can_be_opened_while_an_answer_is_written(
    chat: Chat, studio: Studio
) -> None:
    chat.ask("What is it?")
    chat.page.get_by_role("button", name="New chat").click()
    expect(chat.answers).to_have_count(0)
    gate = begin(chat, studio)
    chat.page.get_by_role("link", name="What is it?").click()
    expect(chat.answers).to_have_text(["A red circle."])
    eventually(lambda: ("cancelled",) in studio.rows("select finish_reason from answers"))
    gate.release(50)
    expect(chat.submit).to_be_visible()
    # What was written is kept there.
    chat.page.go_back()
    expect(chat.answers).to_contain_text("word0 word1 word2")
    studio.backend.gate, studio.backend.words = None, ("Now.",)
    assert chat.ask("And here?") == "Now."
    assert studio.rows("select count(*) from conversations") == [(2,)]


def test_the_back_button_walks_conversations_and_leaves_the_page_after_them(
    chat: Chat, studio: Studio
) -> None:
    page = chat.page
    chat.ask("First?")
    page.get_by_role("button", name="New chat").click()
    expect(chat.answers).to_have_count(0)
    chat.box.fill("half a question")
    page.go_back()
    expect(chat.questions).to_have_text(["First?"])
    expect(chat.box).to_have_value("half a question")
    page.get_by_role("link", name="Leaderboard").click()
    expect(page).to_have_url(re.compile("leaderboard"))
    page.go_back()
    chat.ready()
    expect(chat.questions).to_have_text(["First?"])


def test_the_page_works_in_a_browser_that_keeps_nothing(visitors: Visitors, studio: Studio) -> None:
    context = visitors.context()
    context.add_init_script(BLOCKED)
    chat = visitors.open(studio.url, context)
    assert chat.ask("What is it?") == "A red circle."
    assert chat.ask("And?") == "A red circle."
    expect(entries(chat.page)).to_have_text(["What is it?"])
    chat.page.get_by_role("button", name="Hide your conversations").click()
    expect(chat.page.get_by_role("complementary", name="Conversations")).to_be_hidden()
