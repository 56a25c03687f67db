"""Votes and thumbs from other programs' logs, stored beside our own and marked as imported.

Each row's ids follow from the row itself, so that the same row is stored once, however often it is
imported. Voters are hashed like our own, and belong to nobody who could be asked: they count as
people who do not allow training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.access import VISITOR_PREFIX
from app.db.battles import ArenaState, Battle, Vote
from app.db.database import Database
from app.db.history import title_of
from app.db.models import Answer, Conversation, Question, Rating
from app.db.vote_store import lock_arena, voter_hash
from app.prompts import Prompt, describe_prompt
from app.ratings.vote_logs import LoggedBattle, LoggedThumb

Outcome = Literal["votes", "thumbs", "already"]
AT_ONCE = 500
"""Rows in one transaction: others can write in between."""
NamesModel = Callable[[tuple[str, str], str], bool]
"""Whether an answer names one of two models."""


class Importer:
    """Stores logged votes; ``names_model`` tells which answers give a blind battle away."""

    def __init__(self, database: Database, names_model: NamesModel) -> None:
        self._database, self._names_model = database, names_model

    def store(self, rows: Iterable[LoggedBattle | LoggedThumb]) -> Counter[Outcome]:
        """Store what is not there yet; returns how many of each. Blocks."""
        counts: Counter[Outcome] = Counter()
        rest = iter(rows)
        while some := list(islice(rest, AT_ONCE)):
            with self._database.writing() as session:
                state = lock_arena(session)
                for row in some:
                    counts[self._one(session, state, row)] += 1
                    session.flush()
        return counts

    def _one(self, session: Session, state: ArenaState, row: LoggedBattle | LoggedThumb) -> Outcome:
        person = VISITOR_PREFIX + "imported-" + voter_hash(state.salt, row.voter or row.key)
        if isinstance(row, LoggedThumb):
            return _thumb(session, row, person)
        if session.scalar(select(Vote.id).where(Vote.id == f"vote_{row.key}")) is not None:
            return "already"
        state.last_vote += 1
        session.add(_battle(row, person))
        session.flush()
        session.add(
            Vote(
                id=f"vote_{row.key}",
                number=state.last_vote,
                battle_id=f"bat_{row.key}",
                voter=voter_hash(state.salt, person),
                voter_kind="person",
                choice=row.choice,
                turn=row.turns,
                not_counted=self._not_counted(row),
                created_at=row.created_at,
            )
        )
        return "votes"

    def _not_counted(self, row: LoggedBattle) -> str | None:
        if row.failed:
            return "side_failed"
        if row.models[0] == row.models[1]:
            return "same_model"
        if row.kind == "blind" and any(self._names_model(row.models, a) for a in row.answers):
            return "names_model"
        return None


def _battle(row: LoggedBattle, person: str) -> Battle:
    prompt = describe_prompt(row.question, ()) if row.question else Prompt("", "unknown", "other")
    return Battle(
        id=f"bat_{row.key}",
        person=person,
        kind=row.kind,
        title=title_of(row.question) or "(imported)",
        left_model=row.models[0],
        left_revision="",
        left_precision="",
        right_model=row.models[1],
        right_revision="",
        right_precision="",
        turns=row.turns,
        # Pictures are not in the log: the same question may be about another one.
        prompt_hash="",
        language=row.language or prompt.language,
        question_kind=prompt.kind,
        source=row.source,
        created_at=row.created_at,
    )


def _thumb(session: Session, row: LoggedThumb, person: str) -> Outcome:
    """The conversation up to the rated answer, and the rating."""
    conversation_id = f"conv_{row.key}"
    if session.get(Conversation, conversation_id) is not None:
        return "already"
    conversation = Conversation(
        id=conversation_id,
        person=person,
        title=title_of(row.turns[0].question) or "(imported)",
        model=row.model,
        created_at=row.created_at,
    )
    session.add(conversation)
    session.flush()
    before = None
    for number, turn in enumerate(row.turns, start=1):
        question = Question(
            id=f"q_{row.key[:28]}_{number}",
            conversation_id=conversation_id,
            parent_answer_id=before,
            text=turn.question,
            created_at=row.created_at,
        )
        session.add(question)
        session.flush()
        before = f"ans_{row.key[:28]}_{number}"
        session.add(
            Answer(
                id=before,
                question_id=question.id,
                text=turn.answer,
                model=row.model,
                parameters={"imported_from": row.source},
                finish_reason="stop",
                created_at=row.created_at,
            )
        )
        session.flush()
    conversation.head_answer_id = before
    session.add(
        Rating(
            id=f"rat_{row.key}",
            answer_id=before,
            person=person,
            value=row.value,
            created_at=row.created_at,
            updated_at=row.created_at,
        )
    )
    return "thumbs"
