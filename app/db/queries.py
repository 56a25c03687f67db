"""Queries that the store is made of; each runs in the session that it is given."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.db.models import Answer, Conversation, Image, Question, QuestionImage, Rating
from app.db.records import PastTurn
from app.errors import NotFound
from app.pictures import Picture


def add_image(session: Session, picture: Picture) -> None:
    """The row of a picture, unless it is there."""
    if session.get(Image, picture.sha256) is not None:
        return
    image = Image(
        sha256=picture.sha256,
        media_type=picture.media_type,
        width=picture.width,
        height=picture.height,
        bytes=len(picture.data),
    )
    # On PostgreSQL somebody else may store the same picture at the same moment.
    with contextlib.suppress(IntegrityError), session.begin_nested():
        session.add(image)


def owned_conversation(session: Session, person: str, conversation_id: str) -> Conversation:
    """The person's conversation; raises :class:`NotFound` for other people's."""
    conversation = session.get(Conversation, conversation_id)
    if conversation is None or conversation.person != person:
        raise NotFound(f"There is no conversation {conversation_id!r}.")
    return conversation


def owned_answer(session: Session, person: str, answer_id: str) -> Answer:
    """An answer in the person's conversations; raises :class:`NotFound` for others."""
    answer = session.get(Answer, answer_id)
    if answer is None or answer.question.conversation.person != person:
        raise NotFound(f"There is no answer {answer_id!r}.")
    return answer


def owned_question(session: Session, person: str, question_id: str) -> Question:
    """A question in the person's conversations; raises :class:`NotFound` for others."""
    question = session.get(Question, question_id)
    if question is None or question.conversation.person != person:
        raise NotFound(f"There is no question {question_id!r}.")
    return question


def siblings_of(session: Session, conversation_id: str) -> dict[str | None, list[str]]:
    """The questions after each answer (None: at the start), the oldest first."""
    rows = session.execute(
        select(Question.parent_answer_id, Question.id)
        .where(Question.conversation_id == conversation_id)
        .order_by(Question.created_at, Question.id)
    )
    found: dict[str | None, list[str]] = {}
    for parent, question in rows:
        found.setdefault(parent, []).append(question)
    return found


def owned_image(session: Session, person: str, sha256: str) -> Image:
    """A picture in the person's conversations; raises :class:`NotFound` for others."""
    image = session.scalar(
        select(Image)
        .join(QuestionImage, QuestionImage.sha256 == Image.sha256)
        .join(Question, Question.id == QuestionImage.question_id)
        .join(Conversation, Conversation.id == Question.conversation_id)
        .where(Image.sha256 == sha256, Conversation.person == person)
        .limit(1)
    )
    if image is None:
        raise NotFound("There is no such picture.")
    return image


def picture_bytes_of(session: Session, person: str) -> int:
    """Bytes of all pictures that the person has in conversations, each counted once."""
    mine = (
        select(QuestionImage.sha256)
        .join(Question, Question.id == QuestionImage.question_id)
        .join(Conversation, Conversation.id == Question.conversation_id)
        .where(Conversation.person == person)
    )
    return session.scalar(select(func.sum(Image.bytes)).where(Image.sha256.in_(mine))) or 0


def answers_to(session: Session, conversation_id: str, answer_id: str | None) -> list[Answer]:
    """The path: answers from the first turn to ``answer_id``, none where that is None."""
    answers: list[Answer] = []
    while answer_id is not None:
        answer = session.get(Answer, answer_id)
        if answer is None or answer.question.conversation_id != conversation_id:
            raise NotFound(f"There is no answer {answer_id!r} in this conversation.")
        answers.append(answer)
        answer_id = answer.question.parent_answer_id
    return answers[::-1]


def past_turn(question: Question, answer: str | None) -> PastTurn:
    """A question and its answer, as a model is to see them."""
    pictures = tuple((p.image.sha256, p.image.media_type) for p in question.pictures)
    return PastTurn(question.text, pictures, answer)


def rating_of(session: Session, person: str, answer_id: str) -> Rating | None:
    """The person's rating of an answer."""
    found: Rating | None = session.scalar(
        select(Rating).where(Rating.answer_id == answer_id, Rating.person == person)
    )
    return found


def ratings_of(session: Session, person: str, questions: Sequence[str]) -> dict[str, Rating]:
    """The person's ratings of all answers to these questions, by answer."""
    rows = session.scalars(
        select(Rating)
        .join(Answer, Answer.id == Rating.answer_id)
        .where(Answer.question_id.in_(questions), Rating.person == person)
    )
    return {row.answer_id: row for row in rows}
