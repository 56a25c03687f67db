"""What goes into the store and comes out of it, besides the protocol's own models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from app.pictures import Picture
from app.protocol import ModelInfo


@dataclass(frozen=True)
class NewTurn:
    """A question to be stored: ``conversation_id`` None begins a conversation."""

    person: str
    text: str
    pictures: tuple[Picture, ...] = ()
    conversation_id: str | None = None
    parent_answer_id: str | None = None


@dataclass(frozen=True)
class Begun:
    """The ids of a turn whose answer is about to be written."""

    conversation_id: str
    question_id: str
    answer_id: str
    previous_head: str | None
    """The answer that the conversation's path ended with before."""


@dataclass(frozen=True)
class PastTurn:
    """A question with its pictures and the answer on the path, as the model is to see them."""

    text: str
    pictures: tuple[tuple[str, str], ...]
    """(sha256, media type) of each."""
    answer: str | None


@dataclass(frozen=True)
class WrittenAnswer:
    """An answer with the turns that led to it, itself the last, and what wrote it."""

    turns: list[PastTurn]
    model: str
    revision: str
    finished: bool


@dataclass(frozen=True)
class Outcome:
    """How an answer stands: its text so far, and its figures once it has ended."""

    text: str
    finish_reason: str | None = None
    error: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    first_token_seconds: float | None = None
    total_seconds: float | None = None


@dataclass(frozen=True)
class AnswerSource:
    """What made an answer: model and sampling."""

    model: ModelInfo
    parameters: dict[str, Any] = field(default_factory=dict)
