"""Who the page's visitor is, while one of their requests is handled.

The page keeps no table of people. It hands on what came with the visitor's request: the session's
token from the cookie, or the name that a trusted proxy has given. The controller decides what that
is worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from app.access import ACTING_HEADER, ADDRESS_HEADER, access_of, is_trusted
from app.settings import Settings

COOKIE = "studio_session"


@dataclass(frozen=True)
class Visitor:
    """What is known of a visitor: all of it empty where nobody is asked."""

    token: str = ""
    name: str = ""
    """The user's name, from a trusted proxy."""
    address: str = ""


NOBODY = Visitor()
VISITOR: ContextVar[Visitor] = ContextVar("visitor", default=NOBODY)
"""The visitor whose request is being handled."""


class Asking(Protocol):
    """What requests of Starlette and of Gradio have in common."""

    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def cookies(self) -> Mapping[str, str]: ...
    @property
    def client(self) -> Any: ...


def visitor_of(request: Asking, settings: Settings) -> Visitor:
    """The visitor of a request. Headers about them count from trusted proxies alone."""
    access = access_of(settings)
    peer = request.client.host if request.client else ""
    trusted = is_trusted(peer, settings)
    forwarded = request.headers.get("x-forwarded-for", "") if trusted else ""
    name = ""
    if access == "proxy" and trusted:
        name = request.headers.get(settings.trusted_user_header, "")
    return Visitor(
        token=request.cookies.get(COOKIE, "") if access == "login" else "",
        name=name,
        address=forwarded.split(",")[-1].strip() or peer,
    )


def headers_for(visitor: Visitor, secret: str) -> dict[str, str]:
    """What the page says to the controller about its visitor.

    A session's token speaks for itself. A name and an address are the page's own word, which
    counts because it has the shared secret.
    """
    if visitor.token:
        return {"Authorization": f"Bearer {visitor.token}"}
    if not secret:
        return {}
    told = {ACTING_HEADER: visitor.name, ADDRESS_HEADER: visitor.address}
    return {"Authorization": f"Bearer {secret}"} | {k: v for k, v in told.items() if v}
