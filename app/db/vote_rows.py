"""Votes with their battles as plain rows, for statistics and export."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from app.db.battles import Battle, Vote
from app.db.database import Database

_COLUMNS = (
    Vote.number,
    Vote.id.label("vote_id"),
    Vote.battle_id,
    Battle.kind,
    Vote.voter,
    Vote.voter_kind,
    Vote.choice,
    Vote.reason,
    Vote.turn,
    Battle.left_model,
    Battle.left_revision,
    Battle.left_precision,
    Battle.right_model,
    Battle.right_revision,
    Battle.right_precision,
    Battle.language,
    Battle.question_kind,
    Battle.prompt_hash,
    Vote.created_at,
    Vote.not_counted,
    Vote.replaces,
    Vote.replaced,
    Battle.source,
)


def read_votes(database: Database, after: int, limit: int) -> list[dict[str, Any]]:
    """Up to ``limit`` votes with numbers above ``after``, in order, replaced ones included."""
    query = (
        select(*_COLUMNS)
        .join(Battle, Battle.id == Vote.battle_id)
        .where(Vote.number > after)
        .order_by(Vote.number)
        .limit(limit)
    )
    with database.reading() as session:
        return [dict(row._mapping) for row in session.execute(query)]
