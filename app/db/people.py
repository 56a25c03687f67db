"""Users, their sessions and keys, and what people allow."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, select
from sqlalchemy.orm import Session as DatabaseSession

from app.access import USER_PREFIX, consents_by_default
from app.db.database import Database
from app.db.models import now
from app.db.people_models import ApiKey, LoginSession, PersonConsent, User
from app.errors import BadRequest, NotAllowed, NotFound
from app.people import Consent, Session

SESSION_PREFIX, KEY_PREFIX = "ses_", "sk-studio-"
SHORTEST_PASSWORD = 8
_NAME = re.compile(r"[\w.@+-]{1,100}")


class People:
    """The table of users and what hangs on it. All methods block; checking a password takes long,
    on purpose. ``clock`` gives the time in UTC."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database, self._clock = database, clock
        self._hasher = PasswordHasher()

    # --- users ---

    def add(self, name: str, password: str) -> None:
        """A new user; raises :class:`BadRequest` where the name is taken or cannot be one."""
        if not _NAME.fullmatch(name):
            raise BadRequest(
                f"{name!r} cannot be a name.",
                "Use letters, digits and . _ @ + - (100 characters at most).",
            )
        hashed = self._hash(password)
        with self._database.writing() as session:
            if session.get(User, name) is not None:
                raise BadRequest(
                    f"There is a user {name} already.",
                    f"Choose another name, or a new password: python app.py user password {name}",
                )
            session.add(User(name=name, password_hash=hashed))

    def names(self) -> list[tuple[str, str]]:
        """(name, time of creation) of all users."""
        with self._database.reading() as session:
            rows = session.execute(select(User.name, User.created_at).order_by(User.name))
            return [(row.name, row.created_at) for row in rows]

    def set_password(self, name: str, password: str) -> None:
        """A new password; all browsers must log in again. Keys stay."""
        hashed = self._hash(password)
        with self._database.writing() as session:
            _user(session, name).password_hash = hashed
            session.execute(delete(LoginSession).where(LoginSession.user == name))

    def remove(self, name: str) -> None:
        """The user can come in no more; what they have said stays until they are forgotten."""
        with self._database.writing() as session:
            user = _user(session, name)
            for table in (LoginSession, ApiKey):
                session.execute(delete(table).where(table.user == name))
            session.delete(user)

    def _hash(self, password: str) -> str:
        if len(password) < SHORTEST_PASSWORD:
            raise BadRequest(
                f"The password has {len(password)} characters; it needs {SHORTEST_PASSWORD}.",
                "Choose a longer one.",
            )
        return self._hasher.hash(password)

    # --- coming in ---

    def log_in(self, name: str, password: str, days: float) -> Session:
        """A session of ``days`` days; raises :class:`NotAllowed` for a wrong name or password.

        An unknown name takes as long as a wrong password, so that names cannot be found by trying.
        """
        with self._database.reading() as session:
            user = session.get(User, name)
            hashed = user.password_hash if user else None
        if not self._is_right(hashed, password):
            raise NotAllowed("The name or the password is wrong.", "Try again.")
        token = SESSION_PREFIX + secrets.token_urlsafe(32)
        expires = (self._clock() + timedelta(days=days)).isoformat(timespec="microseconds")
        with self._database.writing() as session:
            _user(session, name)  # it may have been removed in the meantime
            past = LoginSession.expires_at < self._now()
            session.execute(delete(LoginSession).where(past))
            session.add(LoginSession(token_hash=_hashed(token), user=name, expires_at=expires))
        return Session(token=token, name=name, expires_at=expires)

    def _is_right(self, hashed: str | None, password: str) -> bool:
        if hashed is None:
            self._hasher.hash(password)
            return False
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    def log_out(self, token: str) -> None:
        """End a session; nothing happens where it has ended."""
        with self._database.writing() as session:
            session.execute(delete(LoginSession).where(LoginSession.token_hash == _hashed(token)))

    def new_key(self, name: str) -> str:
        """A key for programs of this user. It is told now and never again."""
        token = KEY_PREFIX + secrets.token_urlsafe(32)
        with self._database.writing() as session:
            _user(session, name)
            session.add(ApiKey(token_hash=_hashed(token), user=name))
        return token

    def remove_keys(self, name: str) -> int:
        """All keys of this user are void; returns how many there were."""
        with self._database.writing() as session:
            _user(session, name)
            result = session.execute(delete(ApiKey).where(ApiKey.user == name))
            return int(getattr(result, "rowcount", 0))

    def user_of(self, token: str) -> str | None:
        """The name that a session's token or a key stands for; None where it has ended."""
        with self._database.reading() as session:
            if token.startswith(KEY_PREFIX):
                key = session.get(ApiKey, _hashed(token))
                return key.user if key else None
            found = session.get(LoginSession, _hashed(token))
            if found is None or found.expires_at <= self._now():
                return None
            return found.user

    # --- consent ---

    def consent(self, person: str) -> Consent:
        """What the person allows; see :func:`app.access.consents_by_default`."""
        default = consents_by_default(person)
        with self._database.reading() as session:
            row = session.get(PersonConsent, person)
            if row is None:
                return Consent(allowed=default, asked=False)
            return Consent(allowed=row.allowed, asked=True, at=row.at)

    def consenting(self, person: str) -> bool:
        """Whether what the person says and rates may train models: exports ask this."""
        return self.consent(person).allowed

    def set_consent(self, person: str, allowed: bool) -> None:
        """The person has said so."""
        with self._database.writing() as session:
            session.merge(PersonConsent(person=person, allowed=allowed, at=now()))

    def _now(self) -> str:
        return self._clock().isoformat(timespec="microseconds")


def person_named(name: str) -> str:
    """The person that a user is."""
    return USER_PREFIX + name


def _user(session: DatabaseSession, name: str) -> User:
    user = session.get(User, name)
    if user is None:
        raise NotFound(
            f"There is no user {name}.",
            f"python app.py user list shows all; python app.py user add {name} adds this one.",
        )
    return user


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
