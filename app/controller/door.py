"""Who asks: decided once for each request, before any route sees it."""

from __future__ import annotations

import asyncio
import hmac
import secrets

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access import (
    ACTING_HEADER,
    ADDRESS_HEADER,
    USER_PREFIX,
    VISITOR_PREFIX,
    access_of,
    is_trusted,
)
from app.db.people import KEY_PREFIX, SESSION_PREFIX, People, person_named
from app.errors import LoginRequired, StudioError
from app.http import bearer, error_response
from app.protocol import PERSON_HEADER
from app.settings import Settings

LONGEST_PERSON = 200
SHORTEST_SECRET_PERSON = 16
"""Where strangers come in, a browser's name for itself counts only if nobody can guess it."""
FREE = ("/health", "/v1/models", "/api/shared/", "/api/login", "/internal/")
"""What nobody has to say who they are for. The workers' desk asks for the secret itself."""


class Door:
    """ASGI middleware: puts the asking person into the request's state as ``person``.

    With logins or a trusted proxy, requests that come without a name are refused with 401.
    """

    def __init__(self, app: ASGIApp, settings: Settings, people: People) -> None:
        self._app, self._settings, self._people = app, settings, people
        self._access = access_of(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        try:
            person = await self._person(request)
            if person is None and not request.url.path.startswith(FREE):
                raise LoginRequired(*_WHAT_TO_DO[self._access])
        except StudioError as error:
            await error_response(request, error)(scope, receive, send)
            return
        request.state.person = person or ""
        request.state.address = self._address(request)
        await self._app(scope, receive, send)

    async def _person(self, request: Request) -> str | None:
        """The person; "" where a request may name one itself (OpenAI's ``user``)."""
        request.state.name = name = await self._user(request)
        if name:
            return person_named(name)[:LONGEST_PERSON]
        if self._access in ("login", "proxy"):
            return None
        claimed = request.headers.get(PERSON_HEADER, "")[:LONGEST_PERSON]
        if claimed.startswith((USER_PREFIX, VISITOR_PREFIX)):
            raise LoginRequired("A browser cannot call itself a user.", "Log in, or send a key.")
        if self._access == "local":
            return claimed
        if len(claimed) < SHORTEST_SECRET_PERSON:
            # Nobody can come as this person again, so nobody sees what they asked.
            claimed = secrets.token_hex(16)
        return (VISITOR_PREFIX + claimed)[:LONGEST_PERSON]

    async def _user(self, request: Request) -> str | None:
        """The name of the user that a token, the page or the proxy vouches for."""
        token = bearer(request)
        if token.startswith((SESSION_PREFIX, KEY_PREFIX)):
            return await asyncio.to_thread(self._people.user_of, token)
        if self._access != "proxy":
            return None
        if self.is_page(request):
            return request.headers.get(ACTING_HEADER)
        peer = request.client.host if request.client else None
        if is_trusted(peer, self._settings):
            return request.headers.get(self._settings.trusted_user_header)
        return None

    def is_page(self, request: Request) -> bool:
        """Whether the page asks: it has the shared secret."""
        secret = self._settings.secret
        return bool(secret) and hmac.compare_digest(bearer(request).encode(), secret.encode())

    def _address(self, request: Request) -> str:
        """Where the person comes from: the page's word, or the connection's other end."""
        told = request.headers.get(ADDRESS_HEADER) if self.is_page(request) else None
        return told or (request.client.host if request.client else "")


_WHAT_TO_DO = {
    "login": (
        "This needs a login.",
        "Log in on the page; programs send a key: python app.py user key NAME.",
    ),
    "proxy": (
        "The proxy in front has not said who you are.",
        "Come through the proxy; --trusted-proxies must have its address.",
    ),
    "open": ("This needs a name.", "Reload the page."),
    "local": ("This needs a name.", "Reload the page."),
}
