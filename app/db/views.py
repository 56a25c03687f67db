"""Rows as they travel: the protocol's models made from the tables'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from app.db.models import Answer, Conversation, Image, Question, Rating
from app.protocol import (
    FinishReason,
    RatingValue,
    StoredAnswer,
    StoredConversation,
    StoredImage,
    StoredTurn,
)
from app.protocol import Rating as RatingView


def rating_view(rating: Rating) -> RatingView:
    """A rating."""
    return RatingView(
        id=rating.id,
        answer_id=rating.answer_id,
        person=rating.person,
        value=cast(RatingValue, rating.value),
        reason=rating.reason,
        comment=rating.comment,
        created_at=rating.created_at,
        updated_at=rating.updated_at,
    )


def answer_view(answer: Answer, rating: Rating | None) -> StoredAnswer:
    """An answer with the asking person's rating."""
    return StoredAnswer(
        id=answer.id,
        question_id=answer.question_id,
        text=answer.text,
        model=answer.model,
        precision=answer.precision,
        finish_reason=cast("FinishReason | None", answer.finish_reason),
        error=answer.error,
        created_at=answer.created_at,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        first_token_seconds=answer.first_token_seconds,
        total_seconds=answer.total_seconds,
        rating=rating_view(rating) if rating else None,
    )


def image_view(image: Image) -> StoredImage:
    """A stored picture."""
    return StoredImage(
        sha256=image.sha256,
        media_type=image.media_type,
        width=image.width,
        height=image.height,
    )


def turn_view(
    question: Question,
    chosen: str,
    ratings: Mapping[str, Rating],
    siblings: Mapping[str | None, list[str]],
) -> StoredTurn:
    """A question with its pictures and all its answers."""
    return StoredTurn(
        question_id=question.id,
        text=question.text,
        images=[image_view(picture.image) for picture in question.pictures],
        created_at=question.created_at,
        answers=[answer_view(answer, ratings.get(answer.id)) for answer in question.answers],
        chosen=chosen,
        parent_answer_id=question.parent_answer_id,
        siblings=siblings[question.parent_answer_id],
    )


def conversation_view(
    conversation: Conversation,
    path: Sequence[Answer],
    ratings: Mapping[str, Rating],
    siblings: Mapping[str | None, list[str]],
) -> StoredConversation:
    """A conversation along its current path."""
    return StoredConversation(
        id=conversation.id,
        title=conversation.title,
        created_at=conversation.created_at,
        updated_at=conversation.updated_at,
        model=conversation.model,
        pinned=conversation.pinned,
        turns=[turn_view(answer.question, answer.id, ratings, siblings) for answer in path],
    )
