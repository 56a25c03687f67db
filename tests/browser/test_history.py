"""The list of conversations beside the chat: found, opened, renamed, pinned, saved, deleted."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from app.protocol import ModelInfo
from app.ui.client import ControllerClient
from tests.browser.chat import Chat, picture
from tests.browser.conftest import Studio, Visitors
from tests.browser.test_looks import WIDTHS, fits
from tests.waiting import eventually

MANY = """
with recursive n(i) as (select 1 union all select i + 1 from n where i < 499)
insert into {table} ({names}) select {values} from {table}, n
"""


def entries(page: Page) -> Locator:
    return page.get_by_role("complementary", name="Conversations").locator(".history-name")


def menu(page: Page, title: str, choice: str) -> None:
    """Choose something from the menu of a conversation, with the keyboard."""
    page.get_by_role("button", name=f"More for “{title}”").press("Enter")
    item = page.get_by_role("menuitem", name=choice, exact=True)
    for _ in range(8):
        if item.evaluate("element => element === document.activeElement"):
            break
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")


def two_conversations(chat: Chat, studio: Studio, folder: Path) -> None:
    chat.add_picture(picture(folder))
    chat.ask("What is it?")
    chat.ask("Are you sure?")
    chat.page.get_by_role("button", name="New chat").click()
    expect(chat.answers).to_have_count(0)
    studio.backend.words = ("Some ", "words about zebras.")
    chat.ask("Tell me all.")


def test_conversations_are_found_opened_renamed_pinned_and_deleted(
    chat: Chat, studio: Studio, tmp_path: Path
) -> None:
    two_conversations(chat, studio, tmp_path)
    page = chat.page
    expect(entries(page)).to_have_text(["Tell me all.", "What is it?"])
    expect(page.locator(".history [aria-current]")).to_contain_text("Tell me all.")
    # Opening one shows its turns and pictures; the back button leads back.
    page.get_by_role("link", name="What is it?").click()
    expect(chat.questions).to_have_count(2)
    expect(chat.questions.get_by_role("img")).to_have_count(1)
    expect(page.locator(".history [aria-current]")).to_contain_text("What is it?")
    page.go_back()
    expect(chat.answers).to_have_text(["Some words about zebras."])
    page.go_forward()
    expect(chat.answers).to_have_count(2)
    chat.reload()
    expect(chat.answers).to_have_count(2)
    assert chat.ask("And now?") == "Some words about zebras."
    eventually(lambda: len(studio.backend.seen[-1].messages) == 5)
    # Every word that was said can be searched for.
    search = page.get_by_role("searchbox", name="Search conversations")
    search.fill("sure")
    expect(entries(page)).to_have_text(["What is it?"])
    search.fill("nothing like that")
    expect(page.get_by_text("No conversation has all the words")).to_be_visible()
    search.fill("")
    expect(entries(page)).to_have_count(2)
    menu(page, "Tell me all.", "Pin")
    expect(page.get_by_role("region", name="Pinned")).to_contain_text("Tell me all.")
    menu(page, "What is it?", "Rename")
    page.keyboard.type("A red one")
    page.keyboard.press("Enter")
    expect(entries(page)).to_have_text(["Tell me all.", "A red one"])
    # Deleting is for good, is asked about first, and leaves an empty chat.
    menu(page, "A red one", "Delete")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    menu(page, "A red one", "Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(entries(page)).to_have_text(["Tell me all."])
    expect(chat.answers).to_have_count(0)
    assert studio.rows("select title from conversations") == [("Tell me all.",)]
    assert studio.rows("select count(*) from images") == [(0,)]
    expect(page).not_to_have_url(re.compile("chat="))


def test_a_conversation_is_saved_as_a_file(chat: Chat, tmp_path: Path) -> None:
    chat.add_picture(picture(tmp_path))
    chat.ask("What is it?")
    saved = {}
    for choice in ("Markdown with pictures", "JSON", "LLaVA training data"):
        with chat.page.expect_download() as download:
            menu(chat.page, "What is it?", f"Save as {choice}")
        saved[choice] = download.value
    archive = zipfile.ZipFile(saved["Markdown with pictures"].path())
    assert "A red circle." in archive.read("conversation.md").decode()
    assert sum(name.startswith("images/") for name in archive.namelist()) == 1
    assert saved["JSON"].suggested_filename == "What-is-it.json"
    assert json.loads(Path(saved["JSON"].path()).read_text("utf-8"))["version"] == 1
    (record,) = json.loads(
        zipfile.ZipFile(saved["LLaVA training data"].path()).read("conversation.json")
    )
    assert record["conversations"][1] == {"from": "gpt", "value": "A red circle."}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_the_list_is_a_drawer(
    visitors: Visitors, studio: Studio, tmp_path: Path, scheme: str
) -> None:
    chat = visitors.open(studio.url, viewport=WIDTHS["narrow"], color_scheme=scheme)
    two_conversations(chat, studio, tmp_path)
    page = chat.page
    fits(page)
    drawer = page.get_by_role("complementary", name="Conversations")
    expect(drawer).to_be_hidden()
    opener = page.get_by_role("button", name="Show your conversations")
    opener.click()
    expect(drawer).to_be_in_viewport(ratio=1)
    chat.screenshot(f"history-narrow-{scheme}")
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(opener).to_be_focused()
    opener.click()
    page.get_by_role("link", name="What is it?").click()
    expect(drawer).to_be_hidden()
    expect(chat.answers).to_have_count(2)


def test_five_hundred_conversations_are_listed_at_once_and_page_by_page(
    chat: Chat, studio: Studio, tmp_path: Path
) -> None:
    chat.add_picture(picture(tmp_path))
    chat.ask("What is it?")
    multiply(studio)
    chat.reload()
    page = chat.page
    expect(entries(page)).to_have_count(50)
    page.get_by_role("button", name="Show more").scroll_into_view_if_needed()
    expect(entries(page)).to_have_count(100)
    took = page.evaluate(
        "async () => { const begun = performance.now();"
        " await studio.history.refresh(); return performance.now() - begun; }"
    )
    # benchmarks/history.py measures it; this only finds what grows with their number.
    assert took < 1500, f"{took:.0f} ms"
    page.get_by_role("searchbox", name="Search conversations").fill("title-321")
    expect(entries(page)).to_have_text(["title-321"])


def multiply(studio: Studio) -> None:
    """Make 500 conversations of the one that is there, each with its question and its picture."""
    ids = ("id", "question_id", "conversation_id", "head_answer_id")
    for table in ("conversations", "questions", "question_images", "answers"):
        names = [row[1] for row in studio.rows(f"pragma table_info({table})")]
        values = [f"{name} || i" if name in ids else name for name in names]
        if table == "conversations":
            values[names.index("title")] = "'title-' || i"
        studio.write(MANY.format(table=table, names=", ".join(names), values=", ".join(values)))


def test_a_late_reply_does_not_undo_the_choice_of_a_model(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = threading.Event()
    first = [late]
    list_models = ControllerClient.list_models

    async def held_once(client: ControllerClient) -> list[ModelInfo]:
        served = await list_models(client)
        if first:
            await asyncio.to_thread(first.pop().wait, 30)
        return served

    monkeypatch.setattr(ControllerClient, "list_models", held_once)
    chat.model.click()
    chat.page.get_by_role("option", name="other").click()
    expect(chat.page.get_by_text("Its maker does not say")).to_be_visible()
    assert not first, "the reply to the click comes after that to the choice"
    late.set()
    chat.page.wait_for_timeout(700)
    expect(chat.model).to_have_value("other")
    expect(chat.page.get_by_text("Its maker does not say")).to_be_visible()
