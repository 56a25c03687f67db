"""A person talks with a picture, regenerates, rates, and finds everything after a reload."""

from __future__ import annotations

import threading
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.chat import Chat, picture
from tests.browser.conftest import SEES, Studio, Visitors
from tests.waiting import eventually


def test_three_turns_with_pictures_survive_reload_and_restart(
    chat: Chat, studio: Studio, tmp_path: Path
) -> None:
    chat.add_picture(picture(tmp_path))
    assert chat.ask("What is it?") == "A red circle."
    assert chat.ask("Are you sure?") == "A red circle."
    chat.add_picture(picture(tmp_path, "blue.png", "blue"))
    chat.add_picture(picture(tmp_path, "green.png", "green"))
    assert chat.ask("And these?") == "A red circle."

    last = studio.backend.seen[-1]
    assert [message.role for message in last.messages] == ["user", "assistant"] * 2 + ["user"]
    assert [len(message.images) for message in last.messages] == [1, 0, 0, 0, 2]
    assert last.messages[-1].text == "And these?"

    chat.reload()
    expect(chat.answers).to_have_count(3)
    expect(chat.questions.get_by_role("img")).to_have_count(3)
    chat.leave()
    studio.stop()
    studio.start()
    chat.open()
    expect(chat.answers).to_have_count(3)
    assert chat.ask("Still there?") == "A red circle."
    eventually(lambda: len(studio.backend.seen[-1].images) == 3)


def test_regenerate_keeps_both_answers_and_walks_between_them(chat: Chat, studio: Studio) -> None:
    chat.ask("What is it?")
    studio.backend.words = ("A ", "blue ", "square.")
    chat.press("Retry")
    expect(chat.answers).to_have_text("A blue square.")
    position = chat.page.get_by_label("Answer 2 of 2")
    expect(position).to_be_visible()
    chat.press("Former")
    expect(chat.answers).to_have_text("A red circle.")
    expect(chat.page.get_by_label("Answer 1 of 2")).to_be_visible()
    chat.reload()
    expect(chat.answers).to_have_text("A red circle.")
    chat.press("Next")
    expect(chat.answers).to_have_text("A blue square.")
    assert studio.rows("select count(*) from answers") == [(2,)]


def test_a_rating_with_its_reason_is_stored_once_and_shown_after_a_reload(
    chat: Chat, studio: Studio
) -> None:
    chat.ask("What is it?")
    chat.ask("Are you sure?")
    chat.buttons("Dislike").first.dblclick()
    expect(chat.rating).to_be_visible()
    chat.rating.get_by_label("It is wrong").check()
    chat.rating.get_by_label("Comment").fill("It is blue.")
    chat.rating.get_by_role("button", name="Done").click()
    expect(chat.rating).to_be_hidden()
    rows = studio.rows("select value, reason, comment from ratings")
    assert rows == [("down", "wrong", "It is blue.")]

    chat.reload()
    expect(chat.buttons("Disliked")).to_have_count(1)
    chat.press("Like", of=0)
    expect(chat.buttons("Liked")).to_have_count(1)
    expect(chat.rating).to_contain_text("What is good about it?")
    assert studio.rows("select value, reason from ratings") == [("up", None)]
    chat.rating.get_by_role("button", name="Remove rating").click()
    expect(chat.rating).to_be_hidden()
    expect(chat.buttons("Liked")).to_have_count(0)
    assert studio.rows("select count(*) from ratings") == [(0,)]


def test_an_answer_can_be_flagged(chat: Chat, studio: Studio) -> None:
    chat.ask("What is it?")
    chat.press("Flag")
    chat.rating.get_by_label("It is offensive").check()
    chat.rating.get_by_role("button", name="Done").click()
    expect(chat.rating).to_be_hidden()
    assert studio.rows("select value, reason from ratings") == [("flag", "offensive")]


def test_undo_takes_the_question_and_its_picture_back(chat: Chat, tmp_path: Path) -> None:
    chat.ask("First?")
    chat.add_picture(picture(tmp_path))
    chat.ask("Second?")
    chat.press("Undo")
    expect(chat.answers).to_have_count(1)
    expect(chat.box).to_have_value("Second?")
    expect(chat.thumbnails).to_have_count(1)
    chat.box.press("Enter")
    expect(chat.answers).to_have_count(2)
    expect(chat.questions.last.get_by_role("img")).to_have_count(1)


def test_a_new_chat_begins_empty_and_leaves_the_former_one_stored(
    chat: Chat, studio: Studio
) -> None:
    chat.ask("What is it?")
    chat.page.get_by_role("button", name="New chat").click()
    expect(chat.answers).to_have_count(0)
    chat.ask("Something else?")
    eventually(lambda: len(studio.backend.seen[-1].messages) == 1)
    chat.page.get_by_role("button", name="New chat").click()
    expect(chat.answers).to_have_count(0)
    expect(chat.page).to_have_url(f"{studio.url}/")
    chat.reload()
    expect(chat.answers).to_have_count(0)
    assert studio.rows("select count(*) from conversations") == [(2,)]


def test_another_model_can_be_chosen_in_the_middle(chat: Chat, studio: Studio) -> None:
    chat.ask("What is it?")
    expect(chat.page.get_by_text(SEES)).to_be_visible()
    chat.model.click()
    chat.page.get_by_role("option", name="other").click()
    expect(chat.page.get_by_text(SEES)).to_be_hidden()
    assert chat.ask("And now?") == "Something else."
    assert len(studio.other.seen[-1].messages) == 3
    chat.reload()
    expect(chat.model).to_have_value("other")


def test_settings_reach_the_model(chat: Chat, studio: Studio) -> None:
    chat.page.get_by_role("button", name="Answer settings").click()
    for name, value in (("Temperature", "0.7"), ("Top-p", "0.9"), ("Longest answer", "2")):
        field = chat.page.get_by_label(f"number input for {name}")
        field.fill(value)
        field.press("Tab")
    chat.ask("What is it?")
    sampling = studio.backend.samplings[-1]
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens) == (0.7, 0.9, 2)
    expect(chat.log).to_contain_text("Ended at the longest answer allowed")


def test_an_example_works_at_a_click(chat: Chat, studio: Studio) -> None:
    example = chat.log.get_by_role("button", name="Example 1")
    expect(example.locator("img")).to_be_visible()
    studio.backend.gate = threading.Semaphore(1)
    example.click()
    expect(chat.answers).to_have_text("A")
    picture = chat.questions.get_by_role("img")
    expect(picture).to_be_visible()
    assert picture.evaluate("picture => picture.decode().then(() => picture.naturalWidth)") > 0
    studio.backend.gate.release(10)
    expect(chat.answers).to_have_text("A red circle.")
    (message,) = studio.backend.seen[-1].messages
    assert len(message.images) == 1 and message.text.endswith("?")


def test_two_tabs_do_not_disturb_each_other(visitors: Visitors, studio: Studio) -> None:
    context = visitors.context()
    one = visitors.open(studio.url, context)
    one.ask("First?")
    two = visitors.open(studio.url, context)
    expect(two.answers).to_have_count(1)
    two.page.get_by_role("button", name="New chat").click()
    expect(two.answers).to_have_count(0)
    two.ask("Second?")
    one.ask("Third?")
    assert [message.text for message in studio.backend.seen[-1].messages[::2]] == [
        "First?",
        "Third?",
    ]
    expect(one.reload().answers).to_have_count(2)
    expect(two.reload().answers).to_have_count(1)


def test_two_tabs_of_one_conversation_branch_it(visitors: Visitors, studio: Studio) -> None:
    context = visitors.context()
    one = visitors.open(studio.url, context)
    one.ask("First?")
    two = visitors.open(one.page.url, context)
    one.ask("Here?")
    two.ask("There?")
    asked = [message.text for message in studio.backend.seen[-1].messages[::2]]
    assert asked == ["First?", "There?"]
    one.press("Like", of=1)
    expect(one.rating).to_be_visible()
    (rated,) = studio.rows(
        "select questions.text from ratings join answers on answers.id = ratings.answer_id "
        "join questions on questions.id = answers.question_id"
    )
    assert rated == ("Here?",)


def test_an_answer_that_has_not_begun_shows_nothing_of_the_one_before(
    chat: Chat, studio: Studio
) -> None:
    chat.ask("What is it?")
    chat.page.evaluate(
        """() => {
          window.flashed = [];
          new MutationObserver(() => {
            const writing = document.querySelector("#chat [aria-busy=true] .body");
            if (writing?.textContent.trim()) window.flashed.push(writing.textContent);
          }).observe(document.querySelector("#chat"), { childList: true, subtree: true });
        }"""
    )
    studio.backend.gate = threading.Semaphore(0)
    chat.send("Are you sure?")
    expect(chat.answers).to_have_count(2)
    eventually(lambda: len(studio.backend.seen) == 2)
    expect(chat.log.locator(".thinking")).to_be_visible()
    assert chat.page.evaluate("window.flashed") == []
    studio.backend.gate.release(10)
    assert chat.finished() == "A red circle."
