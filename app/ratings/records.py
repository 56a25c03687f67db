"""One vote with everything that the statistics look at: what is exported, and what is read back."""

from __future__ import annotations

from typing import NamedTuple

from app.battle_protocol import BattleKind, VoteChoice, VoterKind

RATINGS_SCHEMA = 1
"""Version of the columns of :class:`VoteRecord`; docs/arena.md has each of them."""


class VoteRecord(NamedTuple):
    """A row of the export: a vote, its battle, and both sides.

    A tuple, because a million of them are made; its fields are in the order of
    :func:`app.db.vote_rows.read_vote_tuples`.
    """

    number: int
    vote_id: str
    battle_id: str
    kind: BattleKind
    voter: str
    voter_kind: VoterKind
    choice: VoteChoice
    reason: str | None
    turn: int
    left_model: str
    left_revision: str
    left_precision: str
    right_model: str
    right_revision: str
    right_precision: str
    language: str
    question_kind: str
    prompt_hash: str
    created_at: str
    not_counted: str | None = None
    replaces: int | None = None
    replaced: bool = False
    source: str = "arena"


COLUMNS = VoteRecord._fields
