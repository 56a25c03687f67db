"""Deleting for good: a conversation with everything that only it has."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, delete, exists, select, update
from sqlalchemy.orm import Session

from app.db.battles import Battle, BattleAnswer
from app.db.models import Answer, Conversation, Image, Question, QuestionImage, Rating, Share

DELETED = "(deleted)"
"""Title of a battle whose conversations are gone."""


def delete_conversations(session: Session, ids: Sequence[str]) -> list[tuple[str, str]]:
    """Delete conversations with questions, answers, ratings and links to them.

    Returns (sha256, media type) of the pictures that nobody else has: their rows are gone, their
    files are the caller's to delete before the transaction ends. SQLite's search index follows by
    its triggers.
    """
    questions = select(Question.id).where(Question.conversation_id.in_(ids))
    answers = select(Answer.id).where(Answer.question_id.in_(questions))
    pictures = session.scalars(
        select(QuestionImage.sha256).where(QuestionImage.question_id.in_(questions)).distinct()
    ).all()
    _leave_battles(session, ids, answers)
    session.execute(delete(Share).where(Share.conversation_id.in_(ids)))
    session.execute(delete(Rating).where(Rating.answer_id.in_(answers)))
    session.execute(delete(QuestionImage).where(QuestionImage.question_id.in_(questions)))
    session.execute(delete(Answer).where(Answer.question_id.in_(questions)))
    session.execute(delete(Question).where(Question.conversation_id.in_(ids)))
    session.execute(delete(Conversation).where(Conversation.id.in_(ids)))
    return delete_unused_pictures(session, pictures)


def _leave_battles(session: Session, ids: Sequence[str], answers: Select[str]) -> None:
    """Battles and votes stay, since they hold others' opinions of models, without what was said."""
    session.execute(
        update(BattleAnswer)
        .where(BattleAnswer.answer_id.in_(answers))
        .values(answer_id=None, error="deleted")
    )
    for side in (Battle.left_conversation_id, Battle.right_conversation_id):
        session.execute(
            update(Battle).where(side.in_(ids)).values({side: None, Battle.title: DELETED})
        )


def delete_unused_pictures(session: Session, pictures: Sequence[str]) -> list[tuple[str, str]]:
    """Delete the rows of those of the pictures that no question has; returns which they were."""
    used = exists().where(QuestionImage.sha256 == Image.sha256)
    rows = session.execute(
        select(Image.sha256, Image.media_type).where(Image.sha256.in_(pictures), ~used)
    ).all()
    session.execute(delete(Image).where(Image.sha256.in_([row.sha256 for row in rows])))
    return [(row.sha256, row.media_type) for row in rows]
