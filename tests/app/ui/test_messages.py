"""What the chat shows for a stored conversation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from app.errors import StudioError
from app.protocol import (
    Rating,
    RatingValue,
    StoredAnswer,
    StoredConversation,
    StoredImage,
    StoredTurn,
)
from app.ui import messages
from app.ui.messages import feedback_of, literal, messages_of, note_on, upload_url


def stored(text: str = "Red.", **more: object) -> StoredAnswer:
    fields = {"id": "a1", "question_id": "q1", "text": text, "model": "m", "finish_reason": "stop"}
    return StoredAnswer.model_validate({**fields, "created_at": "now", **more})


def rating(value: RatingValue) -> Rating:
    return Rating(
        id="r", answer_id="a2", person="p", value=value, created_at="now", updated_at="now"
    )


def conversation(*turns: StoredTurn) -> StoredConversation:
    return StoredConversation(
        id="c1", title="", created_at="", updated_at="", model="m", turns=list(turns)
    )


def turn(*answers: StoredAnswer, images: int = 0, chosen: str | None = "a1") -> StoredTurn:
    pictures = [
        StoredImage(sha256=f"{n:064}", media_type="image/png", width=1, height=1)
        for n in range(images)
    ]
    return StoredTurn(
        question_id="q1", text="What?", images=pictures, created_at="", answers=list(answers),
        chosen=chosen,
    )  # fmt: skip


def test_each_turn_is_a_question_and_the_chosen_answer() -> None:
    answers = (stored("Red."), stored("Blue.", id="a2", rating=rating("down")))
    shown = messages_of(conversation(turn(*answers, chosen="a2", images=2)))
    assert [message["role"] for message in shown] == ["user", "assistant"]
    asked = shown[0]["content"][0]["text"]
    assert asked.count("![Picture") == 2 and f"](pictures/{1:064})" in asked
    assert shown[1]["content"] == [{"type": "text", "text": "Blue."}]
    assert feedback_of(conversation(turn(*answers, chosen="a2"))) == ["Dislike"]


def test_a_question_without_an_answer_stands_alone() -> None:
    shown = messages_of(conversation(turn(chosen=None)))
    assert [message["role"] for message in shown] == ["user"]


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        (stored(), ""),
        (stored(" "), messages.NOTHING_SAID),
        (stored(finish_reason="length"), messages.AT_LIMIT),
        (stored(finish_reason="cancelled"), messages.STOPPED),
        (stored(finish_reason=None), messages.STILL_WRITING),
        (stored(finish_reason="error", error="other"), messages.BROKE_OFF),
        (
            stored(finish_reason="error", error="worker_lost"),
            messages.WHY_BROKEN_OFF["worker_lost"],
        ),
    ],
)
def test_notes_say_how_an_answer_ended(answer: StoredAnswer, note: str) -> None:
    assert note_on(answer) == note


def test_notes_stand_apart_from_the_answer_and_hold_no_html() -> None:
    shown = messages.answer("```\nopen", "<b>lost</b>")
    assert shown["content"][0]["text"] == "```\nopen"
    assert "&lt;b&gt;lost" in shown["content"][1]["text"]


def test_notes_explain_errors_that_exist() -> None:
    codes = {kind.code for kind in every_error(StudioError)}
    assert set(messages.WHY_BROKEN_OFF) <= codes


def every_error(kind: type[StudioError]) -> list[type[StudioError]]:
    return [kind, *(each for child in kind.__subclasses__() for each in every_error(child))]


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


def test_upload_addresses_are_quoted() -> None:
    assert upload_url("/tmp/a b(1).png") == "gradio_api/file=/tmp/a%20b%281%29.png"
