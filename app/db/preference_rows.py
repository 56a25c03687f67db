"""Which of two stored answers a person preferred, from votes and thumbs, and what came before them.

Three sources, as in :mod:`llava_core.preferences`: a vote for a side of a battle; an answer that
was asked for again and then liked; thumbs up and down on answers to the same question.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import and_, select
from sqlalchemy.orm import Session, aliased

from app.db.battles import Battle, BattleAnswer, Vote
from app.db.database import Database
from app.db.models import Answer, Conversation, Question, Rating

Source = Literal["vote", "regenerate", "siblings"]
FINISHED = ("stop", "length")
"""Ends of answers that can be compared; the others failed or were stopped."""
CHUNK = 500


@dataclass(frozen=True)
class Preferred:
    """Two answers by their ids, the better one first, and the people whose words these are."""

    id: str
    source: Source
    people: frozenset[str]
    chosen: str
    rejected: str
    created_at: str
    vote: int | None = None
    """The vote's number, where it is one."""


@dataclass(frozen=True)
class StoredTurn:
    """A question with its pictures as (sha256, media type), and the answer after it, if any."""

    question: str
    pictures: tuple[tuple[str, str], ...]
    answer: str | None


@dataclass(frozen=True)
class StoredAnswer:
    """An answer, what made it, and the turns up to its question, which comes last."""

    text: str
    model: str
    finished: bool
    context: tuple[StoredTurn, ...]


def preferred_by_votes(database: Database) -> Iterator[Preferred]:
    """People's votes for a side that stand, in the order of their numbers; those that do not count
    for a reason of the battle or of a limit are left out."""
    number = 0
    while True:
        with database.reading() as session:
            rows = session.execute(
                select(Vote.number, Vote.id, Vote.choice, Vote.battle_id, Vote.turn)
                .add_columns(Vote.created_at, Battle.person)
                .join(Battle, Battle.id == Vote.battle_id)
                .where(
                    Vote.number > number,
                    Vote.voter_kind == "person",
                    Vote.choice.in_(("left", "right")),
                    ~Vote.replaced,
                    Vote.not_counted.is_(None),
                )
                .order_by(Vote.number)
                .limit(CHUNK)
            ).all()
            sides = _sides(session, [row.battle_id for row in rows])
        if not rows:
            return
        number = rows[-1].number
        for row in rows:
            chosen = sides.get((row.battle_id, row.turn, row.choice))
            other = "right" if row.choice == "left" else "left"
            rejected = sides.get((row.battle_id, row.turn, other))
            if chosen is not None and rejected is not None:  # else imported, or deleted
                people = frozenset((row.person,))
                yield Preferred(
                    row.id, "vote", people, chosen, rejected, row.created_at, row.number
                )


def _sides(session: Session, battles: Sequence[str]) -> dict[tuple[str, int, str], str]:
    """(battle, turn, side) -> answer."""
    rows = session.execute(
        select(
            BattleAnswer.battle_id, BattleAnswer.turn, BattleAnswer.side, BattleAnswer.answer_id
        ).where(BattleAnswer.battle_id.in_(battles), BattleAnswer.answer_id.is_not(None))
    )
    return {(battle, turn, side): answer for battle, turn, side, answer in rows if answer}


def preferred_by_thumbs(database: Database) -> list[Preferred]:
    """Of each answer with a thumb up: the other answers to its question that the same person put
    below it, with a thumb down or a flag, or by asking again after them."""
    first, second, below = aliased(Answer), aliased(Answer), aliased(Rating)
    query = (
        select(Rating.person, Conversation.person, first.id, second.id, below.value)
        .add_columns(Rating.updated_at, first.created_at, second.created_at)
        .join(first, first.id == Rating.answer_id)
        .join(second, and_(second.question_id == first.question_id, second.id != first.id))
        .join(Question, Question.id == first.question_id)
        .join(Conversation, Conversation.id == Question.conversation_id)
        .outerjoin(below, and_(below.answer_id == second.id, below.person == Rating.person))
        .where(Rating.value == "up")
        .order_by(Rating.updated_at, first.id, second.id)
    )
    found = []
    with database.reading() as session:
        for person, owner, liked, other, value, at, liked_at, other_at in session.execute(query):
            if value == "up" or (value is None and other_at >= liked_at):
                continue  # liked as well, or never asked again after it
            source: Source = "regenerate" if value is None else "siblings"
            people = frozenset((person, owner))
            found.append(Preferred(f"{liked}>{other}", source, people, liked, other, at))
    return found


def stored_answer(session: Session, answer_id: str) -> StoredAnswer | None:
    """The answer as it is now; None where it has been deleted."""
    answer = session.get(Answer, answer_id)
    if answer is None:
        return None
    turns = [_turn(answer.question, None)]
    before = answer.question.parent_answer_id
    while before is not None:
        past = session.get(Answer, before)
        if past is None:
            return None
        turns.append(_turn(past.question, past.text))
        before = past.question.parent_answer_id
    finished = answer.finish_reason in FINISHED and bool(answer.text.strip())
    return StoredAnswer(answer.text, answer.model, finished, tuple(reversed(turns)))


def _turn(question: Question, answer: str | None) -> StoredTurn:
    pictures = tuple((p.image.sha256, p.image.media_type) for p in question.pictures)
    return StoredTurn(question.text, pictures, answer)
