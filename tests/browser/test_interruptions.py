"""Answers that are stopped, left alone, or lose their worker or controller."""

from __future__ import annotations

import re
import threading
import time

from playwright.sync_api import expect

from tests.browser.chat import Chat
from tests.browser.conftest import Studio
from tests.waiting import eventually

WORDS = tuple(f"word{number} " for number in range(200))


def begin(chat: Chat, studio: Studio, steps: int = 3) -> threading.Semaphore:
    """Ask, with a model that has written so many words and waits to be told to go on."""
    studio.backend.words = WORDS
    studio.backend.gate = gate = threading.Semaphore(steps)
    chat.send("Tell me all.")
    expect(chat.answers.last).to_contain_text(f"word{steps - 1}")
    return gate


def test_stop_stops_the_model_and_keeps_what_was_written(chat: Chat, studio: Studio) -> None:
    gate = begin(chat, studio)
    chat.stop.click()
    expect(chat.submit).to_be_visible()
    gate.release(50)
    expect(chat.log).to_contain_text("Stopped before the end.")
    time.sleep(0.3)
    assert studio.backend.steps <= 5
    assert studio.rows("select finish_reason from answers") == [("cancelled",)]
    expect(chat.answers).to_contain_text("word0 word1 word2")

    studio.backend.gate, studio.backend.words = None, ("All.",)
    chat.press("Retry")
    expect(chat.answers).to_have_text("All.")
    expect(chat.page.get_by_label("Answer 2 of 2")).to_be_visible()
    assert chat.ask("More?") == "All."


def test_a_closed_tab_stops_the_model(chat: Chat, studio: Studio) -> None:
    gate = begin(chat, studio)
    chat.page.close()
    eventually(lambda: studio.rows("select finish_reason from answers") == [("cancelled",)])
    gate.release(50)
    time.sleep(0.3)
    assert studio.backend.steps <= 5


def test_a_new_chat_stops_the_answer_in_work(chat: Chat, studio: Studio) -> None:
    begin(chat, studio)
    chat.page.get_by_role("button", name="New chat").click()
    expect(chat.answers).to_have_count(0)
    eventually(lambda: studio.rows("select finish_reason from answers") == [("cancelled",)])
    expect(chat.submit).to_be_visible()
    expect(chat.answers).to_have_count(0)


def test_a_second_question_waits_for_the_first_answer(chat: Chat, studio: Studio) -> None:
    gate = begin(chat, studio)
    chat.send("And then?")
    time.sleep(0.5)
    expect(chat.questions).to_have_count(1)
    expect(chat.box).to_have_value("And then?")
    gate.release(500)
    chat.finished()
    expect(chat.box).to_have_value("And then?")
    studio.backend.gate = None
    chat.box.press("Enter")
    expect(chat.questions).to_have_count(2)


def test_a_reload_in_the_middle_keeps_what_was_written(chat: Chat, studio: Studio) -> None:
    begin(chat, studio)
    chat.reload()
    expect(chat.answers).to_contain_text("word0 word1 word2")
    expect(chat.log).to_contain_text("Stopped before the end.")


def test_a_worker_lost_in_the_middle_is_said_and_the_next_question_works(
    chat: Chat, studio: Studio
) -> None:
    begin(chat, studio)
    studio.lose_worker()
    expect(chat.log).to_contain_text("The worker went away in the middle of this answer.")
    expect(chat.answers).to_contain_text("word0 word1 word2")
    chat.screenshot("worker-lost")
    studio.backend.gate, studio.backend.error, studio.backend.words = None, None, ("Back.",)
    chat.press("Retry")
    expect(chat.answers).to_have_text("Back.")
    chat.finished()
    assert chat.ask("More?") == "Back."


def test_without_a_worker_the_question_stays_in_the_box(chat: Chat, studio: Studio) -> None:
    studio.stop("worker")
    chat.send("Anybody?")
    chat.says(re.compile("worker"))
    expect(chat.box).to_have_value("Anybody?")
    expect(chat.answers).to_have_count(0)
    studio.start("worker")
    chat.box.press("Enter")
    expect(chat.answers).to_have_text("A red circle.")
    expect(chat.notice).to_have_count(0)


def test_a_page_opened_before_any_model_is_there_notices_when_one_is(
    chat: Chat, studio: Studio
) -> None:
    studio.stop("controller", "worker")
    chat.open()
    chat.says("does not answer")
    chat.box.fill("Hello?")
    studio.start("controller", "worker")
    expect(chat.model).to_have_value("scripted")
    expect(chat.notice).to_have_count(0)
    expect(chat.box).to_have_value("Hello?")
    chat.box.press("Enter")
    expect(chat.answers).to_have_text("A red circle.")


def test_a_controller_that_restarts_loses_nothing(chat: Chat, studio: Studio) -> None:
    chat.ask("What is it?")
    studio.stop("controller")
    chat.send("Still there?")
    chat.says("does not answer")
    expect(chat.box).to_have_value("Still there?")
    studio.start("controller")
    chat.box.press("Enter")
    expect(chat.answers).to_have_count(2)
    eventually(lambda: len(studio.backend.seen[-1].messages) == 3)


def test_a_page_server_that_restarts_loses_nothing(chat: Chat, studio: Studio) -> None:
    chat.ask("What is it?")
    chat.leave()
    studio.stop("page")
    studio.start("page")
    chat.open()
    expect(chat.answers).to_have_count(1)
    chat.ask("Still there?")
    eventually(lambda: len(studio.backend.seen[-1].messages) == 3)
