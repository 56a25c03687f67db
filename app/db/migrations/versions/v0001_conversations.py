"""Conversations, questions, answers, pictures and ratings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the first tables."""
    op.create_table(
        "conversations",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("person", sa.String(200), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("head_answer_id", sa.String(40)),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
    )
    op.create_index("ix_conversations_person_updated", "conversations", ["person", "updated_at"])
    op.create_table(
        "questions",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column(
            "conversation_id", sa.String(40), sa.ForeignKey("conversations.id"), nullable=False
        ),
        sa.Column("parent_answer_id", sa.String(40)),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
    )
    op.create_index("ix_questions_conversation_id", "questions", ["conversation_id"])
    op.create_table(
        "images",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("media_type", sa.String(40), nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
    )
    op.create_table(
        "question_images",
        sa.Column("question_id", sa.String(40), sa.ForeignKey("questions.id"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("sha256", sa.String(64), sa.ForeignKey("images.sha256"), nullable=False),
    )
    op.create_index("ix_question_images_sha256", "question_images", ["sha256"])
    op.create_table(
        "answers",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("question_id", sa.String(40), sa.ForeignKey("questions.id"), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("revision", sa.String(100), nullable=False),
        sa.Column("precision", sa.String(20), nullable=False),
        sa.Column("template", sa.String(100), nullable=False),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("finish_reason", sa.String(20)),
        sa.Column("error", sa.String(40)),
        sa.Column("prompt_tokens", sa.Integer, nullable=False),
        sa.Column("completion_tokens", sa.Integer, nullable=False),
        sa.Column("first_token_seconds", sa.Float),
        sa.Column("total_seconds", sa.Float),
        sa.Column("created_at", sa.String(32), nullable=False),
    )
    op.create_index("ix_answers_question_id", "answers", ["question_id"])
    op.create_table(
        "ratings",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("answer_id", sa.String(40), sa.ForeignKey("answers.id"), nullable=False),
        sa.Column("person", sa.String(200), nullable=False),
        sa.Column("value", sa.String(10), nullable=False),
        sa.Column("reason", sa.String(200)),
        sa.Column("comment", sa.Text),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.UniqueConstraint("answer_id", "person", name="uq_ratings_answer_person"),
    )
    op.create_index("ix_ratings_answer_id", "ratings", ["answer_id"])


def downgrade() -> None:
    """Drop them again."""
    for table in ("ratings", "answers", "question_images", "images", "questions", "conversations"):
        op.drop_table(table)
