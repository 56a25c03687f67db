"""Conversations can be pinned and shared."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002_history"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the mark of pinned conversations, and the links to shared ones."""
    op.add_column(
        "conversations", sa.Column("pinned", sa.Boolean, nullable=False, server_default=sa.false())
    )
    op.create_table(
        "shares",
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column(
            "conversation_id", sa.String(40), sa.ForeignKey("conversations.id"), nullable=False
        ),
        sa.Column("answer_id", sa.String(40), sa.ForeignKey("answers.id"), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
    )
    op.create_index("ix_shares_conversation_id", "shares", ["conversation_id"])
    op.create_index("ix_shares_answer_id", "shares", ["answer_id"])


def downgrade() -> None:
    """Take both away again."""
    op.drop_table("shares")
    op.drop_column("conversations", "pinned")
