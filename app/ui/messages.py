"""A stored conversation as the chat shows it: messages in Gradio's typed format.

Each message is one text part. A person's own words are shown exactly as typed; a model's answer is
Markdown, from which the page removes HTML. Pictures are Markdown pictures, so that a message is
nothing but text and costs nothing to send again.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import TypedDict
from urllib.parse import quote

from app.protocol import StoredAnswer, StoredConversation, StoredTurn

PICTURE_PATH = "pictures"
THUMBS = {"up": "Like", "down": "Dislike", "flag": "Flag"}
"""A rating's value -> the name of its button in the chat."""
STILL_WRITING = "This answer is still being written. Reload the page to see more of it."
STOPPED = "Stopped before the end."
AT_LIMIT = "Ended at the longest answer allowed; see Answer settings."
NOTHING_SAID = "The model ended its answer without a word."
BROKE_OFF = "This answer broke off. What was written is kept; press Retry for another one."
WHY_BROKEN_OFF = {
    "worker_lost": "The worker went away in the middle of this answer. What was written is kept; "
    "press Retry in some seconds.",
    "out_of_memory": "The model ran out of memory in the middle of this answer. Start a new chat, "
    "or allow only shorter answers.",
}
"""Error codes (see app/errors.py) -> what is said under an answer that they ended."""

_SPECIAL = re.compile(r"[!-/:-@\[-`{-~]")


class Part(TypedDict):
    """A text part of a message."""

    type: str
    text: str


class ChatMessage(TypedDict):
    """A message of ``gr.Chatbot``."""

    role: str
    content: list[Part]


def messages_of(conversation: StoredConversation) -> list[ChatMessage]:
    """The conversation's current path: for each turn the question, then the chosen answer."""
    shown = []
    for turn in conversation.turns:
        shown.append(question(turn.text, [picture_url(image.sha256) for image in turn.images]))
        answered = chosen_answer(turn)
        if answered:
            shown.append(answer(answered.text, note_on(answered)))
    return shown


def feedback_of(conversation: StoredConversation) -> list[str | None]:
    """For each shown answer the name of the pressed rating button, or None."""
    answers = [chosen_answer(turn) for turn in conversation.turns]
    return [THUMBS[shown.rating.value] if shown.rating else None for shown in answers if shown]


def chosen_answer(turn: StoredTurn) -> StoredAnswer | None:
    """The turn's answer on the current path; None where the question has no answer yet."""
    return next((each for each in turn.answers if each.id == turn.chosen), None)


def question(text: str, picture_urls: Sequence[str]) -> ChatMessage:
    """What a person said: the pictures in a row, then the words."""
    pictures = " ".join(
        f"[![Picture {number}]({url})]({url})" for number, url in enumerate(picture_urls, start=1)
    )
    parts = [part for part in (pictures, literal(text)) if part]
    return {"role": "user", "content": [_text("\n\n".join(parts))]}


def answer(text: str, note: str = "") -> ChatMessage:
    """What a model said, and a note under it on how it ended."""
    content = [_text(text)] if text else []
    if note:
        content.append(_text(f'<p class="note">{html.escape(note)}</p>'))
    return {"role": "assistant", "content": content or [_text("")]}


def note_on(answer: StoredAnswer) -> str:
    """What is to be said about how an answer ended; empty for an ordinary end."""
    match answer.finish_reason:
        case None:
            return STILL_WRITING
        case "cancelled":
            return STOPPED
        case "length":
            return AT_LIMIT
        case "error":
            return WHY_BROKEN_OFF.get(answer.error or "", BROKE_OFF)
        case "stop":
            return "" if answer.text.strip() else NOTHING_SAID


def literal(text: str) -> str:
    """Markdown that shows the text exactly as it was typed: nothing in it has a meaning.

    Punctuation becomes character references, which CommonMark takes as text (section 2.5); spaces
    that Markdown would swallow become no-break spaces.
    """
    lines = text.strip("\n").splitlines()
    return "\n".join(_literal_line(line) for line in lines)


def picture_url(sha256: str) -> str:
    """Where the page serves a stored picture, relative to the page."""
    return f"{PICTURE_PATH}/{sha256}"


def upload_url(path: str) -> str:
    """Where the page serves a picture that was uploaded and is not stored yet."""
    return f"gradio_api/file={quote(path)}"


def _literal_line(line: str) -> str:
    indent = len(line) - len(line.lstrip(" \t"))
    spaces = "".join("&nbsp;" * 4 if char == "\t" else "&nbsp;" for char in line[:indent])
    words = _SPECIAL.sub(lambda match: f"&#{ord(match[0])};", line[indent:])
    return spaces + words.replace("  ", "&nbsp; ")


def _text(text: str) -> Part:
    return {"type": "text", "text": text}
