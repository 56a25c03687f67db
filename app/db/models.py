"""The tables: conversations are trees of questions and answers; nothing is overwritten.

A question follows one answer (or none, at the start); an answer belongs to one question and has
siblings where it was regenerated. The head of a conversation is the answer that its current path
ends with. Times are UTC in ISO 8601.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


def new_id(prefix: str) -> str:
    """A short random id that says what it names, such as ``ans_...``."""
    return f"{prefix}_{secrets.token_urlsafe(16)}"


def now() -> str:
    """The current time in UTC, ISO 8601 with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


class Base(DeclarativeBase):
    """Base of all tables."""


class Conversation(Base):
    """One conversation of one person."""

    __tablename__ = "conversations"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    person: Mapped[str] = mapped_column(String(200))
    title: Mapped[str] = mapped_column(String(200))
    model: Mapped[str] = mapped_column(String(200), default="")
    head_answer_id: Mapped[str | None] = mapped_column(String(40), default=None)
    pinned: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    created_at: Mapped[str] = mapped_column(String(32), default=now)
    updated_at: Mapped[str] = mapped_column(String(32), default=now)

    __table_args__ = (Index("ix_conversations_person_updated", "person", "updated_at"),)


class Question(Base):
    """What a person asked, after which answer."""

    __tablename__ = "questions"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id"), index=True)
    parent_answer_id: Mapped[str | None] = mapped_column(String(40), default=None)
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[str] = mapped_column(String(32), default=now)

    conversation: Mapped[Conversation] = relationship()
    pictures: Mapped[list[QuestionImage]] = relationship(order_by="QuestionImage.position")
    answers: Mapped[list[Answer]] = relationship(order_by="Answer.created_at", viewonly=True)


class Image(Base):
    """A picture, stored once under its SHA-256; its file lies in the data folder."""

    __tablename__ = "images"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    media_type: Mapped[str] = mapped_column(String(40))
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    bytes: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[str] = mapped_column(String(32), default=now)


class QuestionImage(Base):
    """The pictures of a question, in order."""

    __tablename__ = "question_images"

    question_id: Mapped[str] = mapped_column(ForeignKey("questions.id"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("images.sha256"), index=True)

    image: Mapped[Image] = relationship()


class Answer(Base):
    """What a model said, with everything that made it say so.

    ``finish_reason`` is NULL while it is being written; ``error`` holds the error's code.
    """

    __tablename__ = "answers"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    question_id: Mapped[str] = mapped_column(ForeignKey("questions.id"), index=True)
    text: Mapped[str] = mapped_column(Text, default="")
    model: Mapped[str] = mapped_column(String(200))
    revision: Mapped[str] = mapped_column(String(100), default="")
    precision: Mapped[str] = mapped_column(String(20), default="")
    template: Mapped[str] = mapped_column(String(100), default="")
    parameters: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    finish_reason: Mapped[str | None] = mapped_column(String(20), default=None)
    error: Mapped[str | None] = mapped_column(String(40), default=None)
    prompt_tokens: Mapped[int] = mapped_column(Integer, default=0)
    completion_tokens: Mapped[int] = mapped_column(Integer, default=0)
    first_token_seconds: Mapped[float | None] = mapped_column(Float, default=None)
    total_seconds: Mapped[float | None] = mapped_column(Float, default=None)
    created_at: Mapped[str] = mapped_column(String(32), default=now)

    question: Mapped[Question] = relationship()


class Rating(Base):
    """One person's rating of one answer; rating again changes it."""

    __tablename__ = "ratings"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    answer_id: Mapped[str] = mapped_column(ForeignKey("answers.id"), index=True)
    person: Mapped[str] = mapped_column(String(200))
    value: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str | None] = mapped_column(String(200), default=None)
    comment: Mapped[str | None] = mapped_column(Text, default=None)
    created_at: Mapped[str] = mapped_column(String(32), default=now)
    updated_at: Mapped[str] = mapped_column(String(32), default=now)

    __table_args__ = (UniqueConstraint("answer_id", "person", name="uq_ratings_answer_person"),)


class Share(Base):
    """A read-only link to a conversation's path up to one answer."""

    __tablename__ = "shares"

    token: Mapped[str] = mapped_column(String(64), primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id"), index=True)
    answer_id: Mapped[str] = mapped_column(ForeignKey("answers.id"), index=True)
    title: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[str] = mapped_column(String(32), default=now)
