"""What the chat shows for a stored conversation."""

from __future__ import annotations

import pytest

from app.protocol import (
    Rating,
    RatingValue,
    StoredAnswer,
    StoredConversation,
    StoredImage,
    StoredTurn,
)
from app.ui.messages import messages_of, upload_url


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
    asked, shown = messages_of(conversation(turn(*answers, chosen="a2", images=2)))
    assert asked["pictures"] == [f"pictures/{0:064}", f"pictures/{1:064}"]
    assert (asked["role"], asked["id"], asked["text"]) == ("user", "q1", "What?")
    assert (shown["role"], shown["id"], shown["text"]) == ("assistant", "a2", "Blue.")
    assert (shown["siblings"], shown["rating"]) == (["a1", "a2"], "down")


def test_a_question_without_an_answer_stands_alone() -> None:
    shown = messages_of(conversation(turn(chosen=None)))
    assert [message["role"] for message in shown] == ["user"]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("stop", "stop"), ("error", "error"), ("cancelled", "cancelled"), (None, "unfinished")],
)
def test_how_an_answer_ended_is_told(reason: str | None, finish: str) -> None:
    answer = stored(finish_reason=reason, error="worker_lost" if reason == "error" else None)
    (_, shown) = messages_of(conversation(turn(answer)))
    assert shown["finish"] == finish
    assert shown["error"] == ("worker_lost" if reason == "error" else None)


def test_upload_addresses_are_quoted() -> None:
    assert upload_url("/tmp/a b(1).png") == "gradio_api/file=/tmp/a%20b%281%29.png"
