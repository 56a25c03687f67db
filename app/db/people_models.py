"""The tables of people: users and how they come in, and what each person allows.

A *person* is the string that stands at conversations and ratings: ``user:NAME`` for users, else
what their browser calls itself. Tokens are kept as SHA-256 alone: they are random, so that nobody
finds them by trying, and a stolen database opens nothing.
"""

from __future__ import annotations

from sqlalchemy import Boolean, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models import Base, now


class User(Base):
    """Somebody who can log in."""

    __tablename__ = "users"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    password_hash: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[str] = mapped_column(String(32), default=now)


class LoginSession(Base):
    """A browser that has logged in."""

    __tablename__ = "login_sessions"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user: Mapped[str] = mapped_column("user_name", ForeignKey("users.name"), index=True)
    created_at: Mapped[str] = mapped_column(String(32), default=now)
    expires_at: Mapped[str] = mapped_column(String(32))


class ApiKey(Base):
    """A key for programs; it has no end."""

    __tablename__ = "api_keys"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user: Mapped[str] = mapped_column("user_name", ForeignKey("users.name"), index=True)
    created_at: Mapped[str] = mapped_column(String(32), default=now)


class PersonConsent(Base):
    """Whether a person allows that models are trained on what they say and rate."""

    __tablename__ = "consents"

    person: Mapped[str] = mapped_column(String(200), primary_key=True)
    allowed: Mapped[bool] = mapped_column(Boolean)
    at: Mapped[str] = mapped_column(String(32), default=now)
