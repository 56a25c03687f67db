"""The export of ratings: votes, thumbs and flags as rows of one shape, and back; docs/arena.md."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

from app.db.database import Database
from app.db.vote_rows import read_thumbs, read_votes_with_answers
from app.errors import BadRequest
from app.ratings.columns import Votes
from app.ratings.leaderboard import not_counted_reasons
from app.ratings.live import records_after
from app.ratings.records import COLUMNS, RATINGS_SCHEMA, VoteRecord

Row = dict[str, Any]
FOUND = ("one_side", "contrary")
"""Reasons that are not stored with a vote but follow from all votes of its voter."""
WITHHELD = "(withheld)"
"""Stands for what somebody wrote who does not allow that it trains models."""
WORDS = ("reason", "comment")
EXPORT_COLUMNS: dict[str, str] = {
    "schema_version": "integer",
    "type": "text",
    "id": "text",
    "value": "text",
    "reason": "text",
    "comment": "text",
    "voter": "text",
    "voter_kind": "text",
    "consent": "boolean",
    "created_at": "text",
    "updated_at": "text",
    "counted": "boolean",
    "not_counted": "text",
    "battle_id": "text",
    "parameters": "text",
    "pictures": "list",
    "answer_id": "text",
    "model": "text",
    "revision": "text",
    "precision": "text",
    "template": "text",
    "left_answer_id": "text",
    "left_model": "text",
    "left_revision": "text",
    "left_precision": "text",
    "left_template": "text",
    "right_answer_id": "text",
    "right_model": "text",
    "right_revision": "text",
    "right_precision": "text",
    "right_template": "text",
    "number": "integer",
    "kind": "text",
    "turn": "integer",
    "language": "text",
    "question_kind": "text",
    "prompt_hash": "text",
    "replaces": "integer",
    "replaced": "boolean",
    "source": "text",
}
"""Columns of the export and what they hold; every row has all of them, None where it has no such
thing."""


def rating_rows(database: Database, consenting: Callable[[str], bool]) -> Iterator[Row]:
    """Votes in the order of their numbers, then thumbs and flags.

    All of them, or the leaderboard could not be computed from the file; but the words of people
    who are not ``consenting`` are :data:`WITHHELD`.
    """
    allowed = cache(consenting)
    for row in _vote_rows(database):
        yield _row(_withheld(row, allowed(row["person"])))
    for row in read_thumbs(database):
        kind = "flag" if row["value"] == "flag" else "thumb"
        source = row["parameters"].get("imported_from", "chat")
        row |= {"type": kind, "voter_kind": "person", "counted": True, "source": source}
        yield _row(_withheld(row, allowed(row["person"])))


def _withheld(row: Row, consent: bool) -> Row:
    words = {} if consent else {name: WITHHELD for name in WORDS if row.get(name)}
    return {**row, **words, "consent": consent}


def _vote_rows(database: Database) -> Iterator[Row]:
    # The marks of voters need all votes, so these are read twice; the second time no further.
    votes = Votes()
    votes.extend(records_after(database, 0))
    stands = votes.columns().stands.tolist()
    reasons = not_counted_reasons(votes)
    rows = read_votes_with_answers(database, votes.last)
    for row, stood, reason in zip(rows, stands, reasons, strict=True):
        row["id"], row["value"] = row.pop("vote_id"), row.pop("choice")
        row["replaced"], row["not_counted"] = not stood, reason
        row["type"], row["counted"] = "vote", stood and reason is None
        yield row


def _row(row: Row) -> Row:
    values = {**row, "schema_version": RATINGS_SCHEMA}
    values["parameters"] = json.dumps(row["parameters"], sort_keys=True)
    return {name: values.get(name) for name in EXPORT_COLUMNS}


def votes_of_rows(rows: Iterable[Row]) -> Votes:
    """The votes among exported rows. Raises :class:`BadRequest`, with the row's number."""
    votes = Votes()
    for position, row in enumerate(rows, start=1):
        try:
            if _is_vote(row):
                votes.extend([_record(row, votes.last)])
        except (TypeError, ValueError, AttributeError) as error:
            raise BadRequest(
                f"Row {position} of the file is not as the export has it: {error}.",
                "Give a file that python app.py export ratings has written.",
            ) from error
    return votes


def _is_vote(row: Row) -> bool:
    if not isinstance(row, dict) or row.get("schema_version") != RATINGS_SCHEMA:
        found = row.get("schema_version") if isinstance(row, dict) else None
        raise ValueError(f"schema_version is {found!r}, not {RATINGS_SCHEMA}")
    return row.get("type") == "vote"


def _record(row: Row, last: int) -> VoteRecord:
    values = {**row, "vote_id": row.get("id"), "choice": row.get("value")}
    missing = [name for name in COLUMNS if name not in values]
    if missing:
        raise ValueError(f"it has no {', '.join(missing)}")
    if values["number"] <= last:
        raise ValueError(f"vote number {values['number']} comes after number {last}")
    if values["not_counted"] in FOUND:
        values["not_counted"] = None  # the leaderboard finds it again
    return VoteRecord(**{name: values[name] for name in COLUMNS})
