"""A conversation about pictures: messages and their parts, data only.

A user's message is an ordered list of parts, each either text or one picture. Where a picture
stands among the parts is where its visual tokens stand in the prompt. Pictures are the only source
of image placeholders: the text ``<image>`` typed by a person is plain text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from PIL import Image

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class TextPart:
    """A run of text, exactly as the person or the model wrote it."""

    text: str


@dataclass(frozen=True)
class ImagePart:
    """One decoded RGB picture (see :func:`llava_core.images.decode_image`)."""

    image: Image.Image


Part = TextPart | ImagePart


@dataclass(frozen=True)
class Message:
    """One message: who speaks, and the parts in order."""

    role: Role
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError("a message needs at least one part: some text or a picture")
        if self.role != "user" and any(isinstance(part, ImagePart) for part in self.parts):
            raise ValueError(f"pictures belong in user messages, not in a {self.role} message")

    @property
    def text(self) -> str:
        """All text of the message, its text parts joined by newlines."""
        return "\n".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def images(self) -> tuple[Image.Image, ...]:
        """The pictures of the message, in order."""
        return tuple(part.image for part in self.parts if isinstance(part, ImagePart))


@dataclass(frozen=True)
class Conversation:
    """Messages in order: an optional system message first, then user and assistant in turn.

    Raises ``ValueError`` where roles do not alternate or the first speaker is not the user.
    """

    messages: tuple[Message, ...]

    def __post_init__(self) -> None:
        turns = self.messages
        if turns and turns[0].role == "system":
            turns = turns[1:]
        if not turns:
            raise ValueError("a conversation needs at least one user message")
        for position, message in enumerate(turns):
            expected: Role = "user" if position % 2 == 0 else "assistant"
            if message.role != expected:
                raise ValueError(
                    f"message {position + 1} is from {message.role!r}, expected {expected!r}: "
                    "user and assistant speak in turn, the user first"
                )

    @property
    def images(self) -> tuple[Image.Image, ...]:
        """All pictures, in the order in which their visual tokens appear."""
        return tuple(image for message in self.messages for image in message.images)

    @property
    def awaits_answer(self) -> bool:
        """True when the last message is the user's."""
        return self.messages[-1].role == "user"


def user(text: str, *images: Image.Image) -> Message:
    """A user message with the pictures first, then the text (LLaVA's ``<image>\\nquestion``)."""
    parts: list[Part] = [ImagePart(image) for image in images]
    if text:
        parts.append(TextPart(text))
    return Message("user", tuple(parts))


def assistant(text: str) -> Message:
    """An assistant message."""
    return Message("assistant", (TextPart(text),))


def system(text: str) -> Message:
    """A system message."""
    return Message("system", (TextPart(text),))
