"""Users, their sessions and keys, and what people allow."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004_people"
down_revision = "0003_arena"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of people."""
    op.create_table(
        "users",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("password_hash", sa.String(200), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
    )
    for table in ("login_sessions", "api_keys"):
        ends = [sa.Column("expires_at", sa.String(32), nullable=False)]
        op.create_table(
            table,
            sa.Column("token_hash", sa.String(64), primary_key=True),
            sa.Column("user_name", sa.String(100), sa.ForeignKey("users.name"), nullable=False),
            sa.Column("created_at", sa.String(32), nullable=False),
            *(ends if table == "login_sessions" else []),
        )
        op.create_index(f"ix_{table}_user_name", table, ["user_name"])
    op.create_table(
        "consents",
        sa.Column("person", sa.String(200), primary_key=True),
        sa.Column("allowed", sa.Boolean, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
    )


def downgrade() -> None:
    """Drop them again."""
    for table in ("consents", "api_keys", "login_sessions", "users"):
        op.drop_table(table)
