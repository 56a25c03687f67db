"""What travels about people: logins, and what they allow. docs/people.md has the routes."""

from __future__ import annotations

from pydantic import Field

from app.access import Access
from app.protocol import Wire


class LoginRequest(Wire):
    """``POST /api/login``."""

    name: str = Field(max_length=200)
    password: str = Field(max_length=1000)


class Session(Wire):
    """The reply: ``Authorization: Bearer <token>`` is this person until ``expires_at``."""

    token: str
    name: str
    expires_at: str


class ConsentRequest(Wire):
    """``POST /api/me/consent``: whether what this person says and rates may train models."""

    allowed: bool


class Consent(Wire):
    """``GET /api/me/consent``."""

    allowed: bool
    """What counts: the person's word, or else the default."""
    asked: bool
    """Whether the person has said so; a page asks those who have not."""
    at: str | None = None
    """When they said so."""


class Me(Wire):
    """``GET /api/me``: who the controller takes the asking person for."""

    name: str | None
    """The user's name; None where nobody is asked who they are."""
    access: Access
    consent: Consent
