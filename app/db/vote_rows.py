"""Votes, thumbs and flags with what they are about as plain rows, for statistics and export."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from app.db.battles import ArenaState, Battle, BattleAnswer, Vote
from app.db.database import Database
from app.db.models import Answer, QuestionImage, Rating
from app.db.vote_store import voter_hash

Row = dict[str, Any]
CHUNK = 500
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


def read_votes(database: Database, after: int, limit: int) -> list[Row]:
    """Up to ``limit`` votes with numbers above ``after``, in order, replaced ones included."""
    with database.reading() as session:
        return _votes(session, after, limit)


def read_vote_tuples(database: Database, after: int, limit: int) -> Sequence[tuple[Any, ...]]:
    """The same as :func:`read_votes`, as tuples in the order of the columns: many times faster."""
    with database.reading() as session:
        return [tuple(row) for row in session.execute(_query(after, limit))]


def read_votes_with_answers(database: Database, last: int) -> Iterator[Row]:
    """The votes up to number ``last``, each also with the answers it chose from: ``left_answer_id``
    and ``left_template`` (and right), ``parameters`` and ``pictures``, as the export has them, and
    the battle's ``person``."""
    number = 0
    while number < last:
        with database.reading() as session:
            rows = _votes(session, number, CHUNK)
            _add_answers(session, rows)
        if not rows:
            return
        yield from (row for row in rows if row["number"] <= last)
        number = rows[-1]["number"]


def read_thumbs(database: Database) -> Iterator[Row]:
    """All thumbs and flags, each with its answer; ``voter`` is the person's hash, as in votes."""
    # An answer may be in several battles: the first in the order of their ids.
    battle = (
        select(func.min(BattleAnswer.battle_id))
        .where(BattleAnswer.answer_id == Answer.id)
        .scalar_subquery()
    )
    columns = (
        Rating.id, Rating.answer_id, Rating.person, Rating.value, Rating.reason, Rating.comment,
        Rating.created_at, Rating.updated_at, Answer.model, Answer.revision, Answer.precision,
        Answer.template, Answer.parameters, Answer.question_id, battle.label("battle_id"),
    )  # fmt: skip
    query = (
        select(*columns)
        .join(Answer, Answer.id == Rating.answer_id)
        .order_by(Rating.id)
        .limit(CHUNK)
    )
    last = ""
    while True:
        with database.reading() as session:
            salt = session.scalar(select(ArenaState.salt)) or ""
            found = session.execute(query.where(Rating.id > last))
            rows = [dict(row._mapping) for row in found]
            pictures = _pictures(session, [row["question_id"] for row in rows])
        if not rows:
            return
        last = rows[-1]["id"]
        for row in rows:
            row["voter"] = voter_hash(salt, row["person"])
            row["pictures"] = pictures.get(row.pop("question_id"), [])
        yield from rows


def _query(after: int, limit: int) -> Select[*tuple[Any, ...]]:
    return (
        select(*_COLUMNS)
        .join(Battle, Battle.id == Vote.battle_id)
        .where(Vote.number > after)
        .order_by(Vote.number)
        .limit(limit)
    )


def _votes(session: Session, after: int, limit: int) -> list[Row]:
    return [dict(row._mapping) for row in session.execute(_query(after, limit))]


def _add_answers(session: Session, rows: list[Row]) -> None:
    """What the voter saw: the last turn's answers, and the pictures of all turns up to it."""
    battles = {row["battle_id"] for row in rows}
    of_battles = select(Battle.id, Battle.parameters, Battle.person).where(Battle.id.in_(battles))
    about = {row.id: row for row in session.execute(of_battles)}
    query = (
        select(BattleAnswer, Answer.template, Answer.question_id)
        .outerjoin(Answer, Answer.id == BattleAnswer.answer_id)
        .where(BattleAnswer.battle_id.in_(battles))
        .order_by(BattleAnswer.turn, BattleAnswer.side)
    )
    answers: dict[str, list[tuple[BattleAnswer, str | None, str | None]]] = {}
    for answer, made_with, asked in session.execute(query):
        answers.setdefault(answer.battle_id, []).append((answer, made_with, asked))
    questions = [q for found in answers.values() for _, _, q in found if q is not None]
    pictures = _pictures(session, questions)
    for row in rows:
        row["parameters"] = about[row["battle_id"]].parameters
        row["person"] = about[row["battle_id"]].person
        seen = [each for each in answers.get(row["battle_id"], []) if each[0].turn <= row["turn"]]
        for side in ("left", "right"):
            row[f"{side}_answer_id"] = row[f"{side}_template"] = None
        for answer, template, _ in seen:
            if answer.turn == row["turn"]:
                row[f"{answer.side}_answer_id"] = answer.answer_id
                row[f"{answer.side}_template"] = template
        shown = [sha for _, _, question in seen for sha in pictures.get(question or "", [])]
        row["pictures"] = list(dict.fromkeys(shown))


def _pictures(session: Session, questions: Sequence[str]) -> dict[str, list[str]]:
    """SHA-256 of each question's pictures, in order."""
    query = (
        select(QuestionImage.question_id, QuestionImage.sha256)
        .where(QuestionImage.question_id.in_(set(questions)))
        .order_by(QuestionImage.question_id, QuestionImage.position)
    )
    found: dict[str, list[str]] = {}
    for row in session.execute(query):
        found.setdefault(row.question_id, []).append(row.sha256)
    return found
