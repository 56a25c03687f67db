"""Battles, their answers, votes with their trail, and the arena's state."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0003_arena"
down_revision = "0002_history"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the arena's tables, and its salt."""
    state = op.create_table(
        "arena_state",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("salt", sa.String(64), nullable=False),
        sa.Column("last_vote", sa.Integer, nullable=False),
    )
    op.bulk_insert(state, [{"id": 1, "salt": secrets.token_hex(32), "last_vote": 0}])
    _battles()
    _votes()


def _battles() -> None:
    sides = [
        column
        for side in ("left", "right")
        for column in (
            sa.Column(f"{side}_model", sa.String(200), nullable=False),
            sa.Column(f"{side}_revision", sa.String(100), nullable=False),
            sa.Column(f"{side}_precision", sa.String(20), nullable=False),
            sa.Column(f"{side}_conversation_id", sa.String(40), sa.ForeignKey("conversations.id")),
        )
    ]
    op.create_table(
        "battles",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("person", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        *sides,
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("turns", sa.Integer, nullable=False),
        sa.Column("prompt_hash", sa.String(64), nullable=False),
        sa.Column("language", sa.String(10), nullable=False),
        sa.Column("question_kind", sa.String(20), nullable=False),
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.CheckConstraint("kind IN ('blind', 'named')", name="ck_battles_kind"),
    )
    op.create_index("ix_battles_person_created", "battles", ["person", "created_at"])
    op.create_index("ix_battles_pair", "battles", ["kind", "left_model", "right_model"])
    for side in ("left", "right"):
        name = f"{side}_conversation_id"
        op.create_index(f"ix_battles_{name}", "battles", [name])
    op.create_table(
        "battle_answers",
        sa.Column("battle_id", sa.String(40), sa.ForeignKey("battles.id"), primary_key=True),
        sa.Column("turn", sa.Integer, primary_key=True),
        sa.Column("side", sa.String(5), primary_key=True),
        sa.Column("answer_id", sa.String(40), sa.ForeignKey("answers.id")),
        sa.Column("names_model", sa.Boolean, nullable=False),
        sa.Column("error", sa.String(40)),
        sa.CheckConstraint("side IN ('left', 'right')", name="ck_battle_answers_side"),
    )
    op.create_index("ix_battle_answers_answer_id", "battle_answers", ["answer_id"])


def _votes() -> None:
    op.create_table(
        "votes",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("battle_id", sa.String(40), sa.ForeignKey("battles.id"), nullable=False),
        sa.Column("voter", sa.String(64), nullable=False),
        sa.Column("voter_kind", sa.String(10), nullable=False),
        sa.Column("choice", sa.String(10), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("turn", sa.Integer, nullable=False),
        sa.Column("key", sa.String(100)),
        sa.Column("replaces", sa.Integer),
        sa.Column("replaced", sa.Boolean, nullable=False),
        sa.Column("not_counted", sa.String(20)),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.UniqueConstraint("number", name="uq_votes_number"),
        sa.UniqueConstraint("replaces", name="uq_votes_replaces"),
        sa.UniqueConstraint("battle_id", "voter", "key", name="uq_votes_battle_voter_key"),
        sa.CheckConstraint(
            "choice IN ('left', 'right', 'tie', 'both_bad')", name="ck_votes_choice"
        ),
        sa.CheckConstraint("voter_kind IN ('person', 'judge')", name="ck_votes_voter_kind"),
    )
    op.create_index(
        "uq_votes_standing",
        "votes",
        ["battle_id", "voter"],
        unique=True,
        sqlite_where=sa.text("replaced = 0"),
        postgresql_where=sa.text("NOT replaced"),
    )
    op.create_index("ix_votes_voter_created", "votes", ["voter", "created_at"])


def downgrade() -> None:
    """Drop them again: votes and battles are gone, conversations stay."""
    for table in ("votes", "battle_answers", "battles", "arena_state"):
        op.drop_table(table)
