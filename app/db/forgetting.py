"""Forgetting: everything of one person, or everything that has not been used for long."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, literal, or_, select, update
from sqlalchemy.orm import Session

from app.access import USER_PREFIX
from app.db.battle_store import OWNER
from app.db.battles import ArenaState, Battle, Vote
from app.db.database import Database
from app.db.deleting import DELETED, delete_conversations
from app.db.models import Conversation, Image, Rating
from app.db.people_models import ApiKey, LoginSession, PersonConsent, User
from app.db.pictures import PictureFiles
from app.db.vote_store import voter_hash

AT_ONCE = 50
"""Conversations in one transaction: others can write in between."""
FORGOTTEN = "forgotten"


@dataclass(frozen=True)
class Traces:
    """What there is of a person, in numbers."""

    conversations: int = 0
    ratings: int = 0
    votes: int = 0
    battles: int = 0
    is_user: bool = False
    consent: bool = False

    @property
    def any(self) -> bool:
        """Whether there is anything."""
        return self != Traces()


class Forgetting:
    """Deletes for good. All methods block, and may take long; the app can run meanwhile."""

    def __init__(self, database: Database, files: PictureFiles) -> None:
        self._database, self._files = database, files

    def traces(self, person: str) -> Traces:
        """What :meth:`forget` would delete."""
        with self._database.reading() as session:

            def number(table: type[Rating] | type[Battle]) -> int:
                of_person = select(func.count()).where(table.person == person)
                return session.scalar(of_person) or 0

            conversations = select(func.count()).where(_conversations_of(person))

            mine = select(func.count()).where(Vote.voter == _voter(session, person))
            return Traces(
                conversations=session.scalar(conversations) or 0,
                ratings=number(Rating),
                votes=session.scalar(mine) or 0,
                battles=number(Battle),
                is_user=session.get(User, _name(person)) is not None,
                consent=session.get(PersonConsent, person) is not None,
            )

    def forget(self, person: str) -> Traces:
        """Delete everything of a person; returns what that was.

        Votes and battles stay for the statistics, under a voter and a person that lead to nobody,
        without reasons, titles and text. It can be run again where it has been interrupted.
        """
        traces = self.traces(person)
        # The account goes first, so that nothing new comes while the rest is deleted.
        with self._database.writing() as session:
            _delete_account(session, _name(person))
        while ids := self._some(_conversations_of(person)):
            self._delete(ids)
        with self._database.writing() as session:
            session.execute(delete(Rating).where(Rating.person == person))
            session.execute(delete(PersonConsent).where(PersonConsent.person == person))
            nobody = hashlib.sha256(secrets.token_bytes(32)).hexdigest()[:32]
            session.execute(
                update(Vote)
                .where(Vote.voter == _voter(session, person))
                .values(voter=nobody, reason=None, key=None)
            )
            # What a judge has said of the person's pictures and questions goes, too.
            theirs = select(Battle.id).where(Battle.person == person)
            session.execute(update(Vote).where(Vote.battle_id.in_(theirs)).values(reason=None))
            session.execute(
                update(Battle)
                .where(Battle.person == person)
                .values(person=FORGOTTEN, title=DELETED)
            )
        return traces

    def delete_unused(self, days: float, now: datetime | None = None) -> int:
        """Delete the conversations that nobody has used for ``days`` days; returns how many."""
        before = (now or datetime.now(UTC)) - timedelta(days=days)
        old = Conversation.updated_at < before.isoformat(timespec="microseconds")
        number = 0
        while ids := self._some(old):
            self._delete(ids)
            number += len(ids)
        return number

    def tidy(self) -> None:
        """Finish deletions of files that a crash has interrupted."""
        with self._database.reading() as session:
            self._files.tidy(lambda sha256: session.get(Image, sha256) is not None)

    def _some(self, which: ColumnElement[bool]) -> Sequence[str]:
        with self._database.reading() as session:
            chosen = select(Conversation.id).where(which).limit(AT_ONCE)
            return session.scalars(chosen).all()

    def _delete(self, ids: Sequence[str]) -> None:
        with self._files.deleting() as take_out, self._database.writing() as session:
            take_out(delete_conversations(session, ids))


def _conversations_of(person: str) -> ColumnElement[bool]:
    """The person's own, and those of battles that they have not voted on, which hide theirs."""
    hidden = select(literal(OWNER) + Battle.id).where(Battle.person == person)
    return or_(Conversation.person == person, Conversation.person.in_(hidden))


def _name(person: str) -> str:
    """The name of a user; empty where the person is none."""
    return person.removeprefix(USER_PREFIX) if person.startswith(USER_PREFIX) else ""


def _voter(session: Session, person: str) -> str:
    salt = session.scalar(select(ArenaState.salt))
    return voter_hash(salt or "", person)


def _delete_account(session: Session, name: str) -> None:
    for table in (LoginSession, ApiKey):
        session.execute(delete(table).where(table.user == name))
    session.execute(delete(User).where(User.name == name))
