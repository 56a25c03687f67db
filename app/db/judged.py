"""Battles as a judge is to see them: questions, pictures and both sides' answers, without names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select

from app.battle_protocol import BattleKind
from app.db.battle_store import battle_answers
from app.db.battles import Battle, BattleAnswer, Vote
from app.db.database import Database
from app.db.vote_store import why_not_counted
from app.errors import BattleRunning

Unfit = Literal["unfinished", "failed", "gone"]
"""Why a battle cannot be judged: it is being answered, a side failed or was stopped, it was
deleted."""


@dataclass(frozen=True)
class JudgedTurn:
    """A question and both answers; ``pictures`` are (sha256, media type)."""

    question: str
    pictures: tuple[tuple[str, str], ...]
    left: str
    right: str


@dataclass(frozen=True)
class JudgedBattle:
    """All turns so far, and whose battle it is."""

    id: str
    person: str
    models: tuple[str, str]
    turns: tuple[JudgedTurn, ...]


def battles_without(database: Database, judge: str, kind: BattleKind) -> list[str]:
    """The ids of stored battles on whose last turn this judge has not voted, the oldest first.

    Imported battles have no answers and are not among them.
    """
    voted = (
        select(Vote.id)
        .where(
            Vote.battle_id == Battle.id,
            Vote.voter == judge,
            Vote.voter_kind == "judge",
            Vote.turn == Battle.turns,
            ~Vote.replaced,
        )
        .exists()
    )
    with database.reading() as session:
        ids = session.scalars(
            select(Battle.id)
            .where(Battle.kind == kind, Battle.source == "arena", Battle.turns > 0, ~voted)
            .order_by(Battle.created_at, Battle.id)
        )
        return list(ids)


def battle_to_judge(database: Database, battle_id: str) -> JudgedBattle | Unfit:
    """The battle as it is now, or why it cannot be judged."""
    with database.reading() as session:
        battle = session.get(Battle, battle_id)
        if battle is None:
            return "gone"
        try:
            if why_not_counted(session, battle) is not None:
                return "failed"
        except BattleRunning:
            return "unfinished"
        rows = battle_answers(session, battle_id)
        turns = tuple(_turn(rows, number) for number in range(1, battle.turns + 1))
        models = (battle.left_model, battle.right_model)
        return JudgedBattle(battle.id, battle.person, models, turns)


def _turn(rows: Sequence[BattleAnswer], number: int) -> JudgedTurn:
    answers = {row.side: row.answer for row in rows if row.turn == number and row.answer}
    question = answers["left"].question
    return JudgedTurn(
        question=question.text,
        pictures=tuple((p.image.sha256, p.image.media_type) for p in question.pictures),
        left=answers["left"].text,
        right=answers["right"].text,
    )
