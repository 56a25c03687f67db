"""Tables of the arena: battles, their answers, votes with their trail, and the arena's own state.

Foreign systems may read them: docs/arena.md has every column.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.models import Answer, Base, now


class ArenaState(Base):
    """One row: the salt of the voters' hashes, and the number of the last vote.

    Whoever writes a vote locks it, so that votes get their numbers in the order in which they
    become visible: a reader that has seen number n has seen all before it.
    """

    __tablename__ = "arena_state"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    salt: Mapped[str] = mapped_column(String(64))
    last_vote: Mapped[int] = mapped_column(Integer, default=0)


class Battle(Base):
    """One conversation with two models at once."""

    __tablename__ = "battles"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    person: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(10))
    title: Mapped[str] = mapped_column(String(200))
    left_model: Mapped[str] = mapped_column(String(200))
    left_revision: Mapped[str] = mapped_column(String(100))
    left_precision: Mapped[str] = mapped_column(String(20))
    left_conversation_id: Mapped[str | None] = mapped_column(
        ForeignKey("conversations.id"), default=None, index=True
    )
    right_model: Mapped[str] = mapped_column(String(200))
    right_revision: Mapped[str] = mapped_column(String(100))
    right_precision: Mapped[str] = mapped_column(String(20))
    right_conversation_id: Mapped[str | None] = mapped_column(
        ForeignKey("conversations.id"), default=None, index=True
    )
    parameters: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    turns: Mapped[int] = mapped_column(Integer, default=0)
    prompt_hash: Mapped[str] = mapped_column(String(64), default="")
    """SHA-256 over the first question and its pictures: the same for the same prompt."""
    language: Mapped[str] = mapped_column(String(10), default="")
    question_kind: Mapped[str] = mapped_column(String(20), default="")
    source: Mapped[str] = mapped_column(String(40), default="arena")
    """Where it comes from: ``arena``, or the format of an imported log."""
    created_at: Mapped[str] = mapped_column(String(32), default=now)

    answers: Mapped[list[BattleAnswer]] = relationship(
        order_by="BattleAnswer.turn, BattleAnswer.side"
    )

    __table_args__ = (
        Index("ix_battles_person_created", "person", "created_at"),
        Index("ix_battles_pair", "kind", "left_model", "right_model"),
        CheckConstraint("kind IN ('blind', 'named')", name="ck_battles_kind"),
    )


class BattleAnswer(Base):
    """The answer of one side in one turn; ``error`` where it could not even be begun."""

    __tablename__ = "battle_answers"

    battle_id: Mapped[str] = mapped_column(ForeignKey("battles.id"), primary_key=True)
    turn: Mapped[int] = mapped_column(Integer, primary_key=True)
    side: Mapped[str] = mapped_column(String(5), primary_key=True)
    answer_id: Mapped[str | None] = mapped_column(ForeignKey("answers.id"), index=True)
    names_model: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether the answer names a model, which was hidden from view."""
    error: Mapped[str | None] = mapped_column(String(40), default=None)

    answer: Mapped[Answer | None] = relationship()

    __table_args__ = (CheckConstraint("side IN ('left', 'right')", name="ck_battle_answers_side"),)


class Vote(Base):
    """One vote. A changed vote is a new row; the former one is kept, with ``replaced`` set."""

    __tablename__ = "votes"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    number: Mapped[int] = mapped_column(Integer)
    """1, 2, 3 ... in the order of the database; imported votes as well."""
    battle_id: Mapped[str] = mapped_column(ForeignKey("battles.id"))
    voter: Mapped[str] = mapped_column(String(64))
    """Salted hash of the person, or the judge's name."""
    voter_kind: Mapped[str] = mapped_column(String(10))
    choice: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str | None] = mapped_column(Text, default=None)
    turn: Mapped[int] = mapped_column(Integer)
    key: Mapped[str | None] = mapped_column(String(100), default=None)
    replaces: Mapped[int | None] = mapped_column(Integer, default=None)
    """Number of the vote that this one changes."""
    replaced: Mapped[bool] = mapped_column(Boolean, default=False)
    not_counted: Mapped[str | None] = mapped_column(String(20), default=None)
    """Why the vote is not counted; NULL where it is."""
    created_at: Mapped[str] = mapped_column(String(32), default=now)

    battle: Mapped[Battle] = relationship()

    __table_args__ = (
        UniqueConstraint("number", name="uq_votes_number"),
        UniqueConstraint("replaces", name="uq_votes_replaces"),
        UniqueConstraint("battle_id", "voter", "key", name="uq_votes_battle_voter_key"),
        Index(
            "uq_votes_standing",
            "battle_id",
            "voter",
            unique=True,
            sqlite_where=text("replaced = 0"),
            postgresql_where=text("NOT replaced"),
        ),
        Index("ix_votes_voter_created", "voter", "created_at"),
        CheckConstraint("choice IN ('left', 'right', 'tie', 'both_bad')", name="ck_votes_choice"),
        CheckConstraint("voter_kind IN ('person', 'judge')", name="ck_votes_voter_kind"),
    )
