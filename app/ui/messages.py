"""A stored conversation as the page shows it: questions and answers in turn, as plain data.

The page shows a person's own words exactly as typed, and an answer as Markdown, in which HTML is
text (assets/markdown.js).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict
from urllib.parse import quote

from app.protocol import RatingValue, StoredAnswer, StoredConversation, StoredTurn

PICTURE_PATH = "pictures"
Finish = Literal["stop", "length", "cancelled", "error", "writing", "unfinished"]
"""How an answer ended: ``writing`` on this page, ``unfinished`` where nobody here sees its end."""


class Message(TypedDict, total=False):
    """A question or an answer. ``siblings``: ids of all at its place, itself included."""

    role: Literal["user", "assistant"]
    id: str
    text: str
    siblings: list[str]
    pictures: list[str]
    """Addresses, relative to the page."""
    model: str
    finish: Finish
    error: str | None
    rating: RatingValue | None
    html: str
    """Safe HTML to show in place of the text."""


def messages_of(conversation: StoredConversation) -> list[Message]:
    """The conversation's current path: for each turn the question, then the chosen answer."""
    shown: list[Message] = []
    for turn in conversation.turns:
        asked = question(turn.text, [picture_url(image.sha256) for image in turn.images])
        asked |= {"id": turn.question_id, "siblings": turn.siblings}
        shown.append(asked)
        answered = chosen_answer(turn)
        if answered:
            shown.append(_answer(answered, turn))
    return shown


def chosen_answer(turn: StoredTurn) -> StoredAnswer | None:
    """The turn's answer on the current path; None where the question has no answer yet."""
    return next((each for each in turn.answers if each.id == turn.chosen), None)


def question(text: str, picture_urls: Sequence[str]) -> Message:
    """What a person said, and is not stored yet."""
    return {"role": "user", "id": "", "text": text, "pictures": list(picture_urls)}


def being_written(text: str = "", model: str = "") -> Message:
    """An answer in work; its text is shown as it grows."""
    return {"role": "assistant", "id": "", "text": text, "model": model, "finish": "writing"}


def picture_url(sha256: str) -> str:
    """Where the page serves a stored picture, relative to the page."""
    return f"{PICTURE_PATH}/{sha256}"


def upload_url(path: str) -> str:
    """Where the page serves a picture that was uploaded and is not stored yet."""
    return f"gradio_api/file={quote(path)}"


def _answer(answer: StoredAnswer, turn: StoredTurn) -> Message:
    return {
        "role": "assistant",
        "id": answer.id,
        "text": answer.text,
        "siblings": [each.id for each in turn.answers],
        "model": answer.model,
        "finish": answer.finish_reason or "unfinished",
        "error": answer.error,
        "rating": answer.rating.value if answer.rating else None,
    }
