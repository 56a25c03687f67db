"""Messages for Gradio's own chat."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from app.ui.chatbot import chat_messages, feedback, literal, note_on, rating_of
from app.ui.language import load_texts
from app.ui.messages import Message, being_written, question

ENGLISH = load_texts("en")


def answer(text: str = "Red.", **more: object) -> Message:
    return {"role": "assistant", "id": "a1", "text": text, "finish": "stop", **more}  # type: ignore[typeddict-item]


def test_questions_answers_and_marks() -> None:
    messages = [question("a * b", ["pictures/1"]), answer(rating="down"), being_written()]
    asked, shown = chat_messages(messages, ENGLISH)
    assert asked["content"][0]["text"] == "[![1](pictures/1)](pictures/1)\n\na &#42; b"
    assert shown["content"] == [{"type": "text", "text": "Red."}]
    assert feedback(messages) == ["Dislike", None]
    assert (rating_of(True), rating_of("Flag"), rating_of("")) == ("up", "flag", None)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (answer(), ""),
        (answer(" "), "without a word"),
        (answer(finish="length"), "longest answer"),
        (answer(finish="cancelled"), "Stopped"),
        (answer(finish="unfinished"), "still being written"),
        (answer(finish="error", error="other"), "broke off"),
        (answer(finish="error", error="worker_lost"), "worker went away"),
    ],
)
def test_notes_say_how_an_answer_ended(message: Message, words: str) -> None:
    note = note_on(message, ENGLISH)
    assert words in note and bool(note) == bool(words)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1))
def test_words_are_shown_as_they_were_typed(text: str) -> None:
    html = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    shown = html.parse(literal(text))
    (inline,) = [token for token in shown if token.type == "inline"]
    assert [token.type for token in shown] == ["paragraph_open", "inline", "paragraph_close"]
    assert inline.children and {token.type for token in inline.children} <= {"text", "text_special"}
    assert "".join(token.content for token in inline.children) == text


@pytest.mark.parametrize(
    "text", ["<image>", "# one", "  indented", "a  b", "1. one", "- x", "$$x$$", "http://x.org"]
)
def test_nothing_in_a_persons_words_has_a_meaning(text: str) -> None:
    markdown = literal(text)
    assert not set(markdown) & set("<>#*_`$-/!.") - set("#")
    html = MarkdownIt("commonmark").render(markdown)
    assert html.startswith("<p>") and html.count("<") == 2
