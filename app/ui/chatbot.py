"""Messages as Gradio's own chat shows them, for pages on which several stand side by side.

Each message is one text part. A person's own words are shown exactly as typed; a model's answer is
Markdown, from which the page removes HTML. Pictures are Markdown pictures, so that a message is
nothing but text and costs nothing to send again.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import TypedDict

from app.protocol import RatingValue
from app.ui.language import Texts
from app.ui.messages import Message

THUMBS: dict[RatingValue, str] = {"up": "Like", "down": "Dislike", "flag": "Flag"}
"""A rating's value -> the name by which Gradio knows its button."""
NOTES = {
    "unfinished": "answer.unfinished",
    "cancelled": "answer.stopped",
    "length": "answer.at_limit",
    "error": "answer.broke_off",
}
_SPECIAL = re.compile(r"[!-/:-@\[-`{-~]")


class Part(TypedDict):
    """A text part of a message."""

    type: str
    text: str


class ChatMessage(TypedDict):
    """A message of ``gr.Chatbot``."""

    role: str
    content: list[Part]


def chat_messages(messages: Sequence[Message], texts: Texts) -> list[ChatMessage]:
    """The messages for ``gr.Chatbot``; an answer in work without a word yet is left out."""
    shown = []
    for message in messages:
        if message["role"] == "user":
            shown.append(_question(message))
        elif message["text"] or message.get("finish") != "writing":
            shown.append(_answer(message, note_on(message, texts)))
    return shown


def feedback(messages: Sequence[Message]) -> list[str | None]:
    """For each answer the name of the pressed rating button, or None."""
    ratings = (each.get("rating") for each in messages if each["role"] == "assistant")
    return [THUMBS[rating] if rating else None for rating in ratings]


def rating_of(button: bool | str) -> RatingValue | None:
    """The rating that a button of ``gr.Chatbot`` stands for; None where it took a mark away."""
    if isinstance(button, bool):
        return "up" if button else "down"
    return next((value for value, name in THUMBS.items() if name == button), None)


def question(text: str, urls: Sequence[str]) -> ChatMessage:
    """What a person said: the pictures in a row, then the words."""
    return _question({"role": "user", "text": text, "pictures": list(urls)})


def answer(text: str, note: str = "") -> ChatMessage:
    """What a model said, and a note under it on how it ended."""
    return _answer({"role": "assistant", "text": text}, note)


def note_on(message: Message, texts: Texts) -> str:
    """What is to be said about how an answer ended; empty for an ordinary end."""
    finish = message.get("finish", "stop")
    if finish == "error" and message.get("error") in ("worker_lost", "out_of_memory"):
        return texts(f"answer.{message['error']}")
    if finish == "stop" and not message["text"].strip():
        return texts("answer.nothing")
    return texts(NOTES[finish]) if finish in NOTES else ""


def literal(text: str) -> str:
    """Markdown that shows the text exactly as it was typed: nothing in it has a meaning.

    Punctuation becomes character references, which CommonMark takes as text (section 2.5); spaces
    that Markdown would swallow become no-break spaces.
    """
    lines = text.strip("\n").splitlines()
    return "\n".join(_literal_line(line) for line in lines)


def _question(message: Message) -> ChatMessage:
    pictures = " ".join(
        f"[![{number}]({url})]({url})" for number, url in enumerate(message.get("pictures", ()), 1)
    )
    parts = [part for part in (pictures, literal(message["text"])) if part]
    return {"role": "user", "content": [_text("\n\n".join(parts))]}


def _answer(message: Message, note: str) -> ChatMessage:
    text = message.get("html") or message["text"]
    content = [_text(text)] if text else []
    if note:
        content.append(_text(f'<p class="note">{html.escape(note)}</p>'))
    return {"role": "assistant", "content": content or [_text("")]}


def _literal_line(line: str) -> str:
    indent = len(line) - len(line.lstrip(" \t"))
    spaces = "".join("&nbsp;" * 4 if char == "\t" else "&nbsp;" for char in line[:indent])
    words = _SPECIAL.sub(lambda match: f"&#{ord(match[0])};", line[indent:])
    return spaces + words.replace("  ", "&nbsp; ")


def _text(text: str) -> Part:
    return {"type": "text", "text": text}
