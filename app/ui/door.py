"""The page's door: with logins, nobody comes in without a session; behind a proxy, not without a
name."""

from __future__ import annotations

import time
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access import access_of
from app.errors import NotAllowed, StudioError
from app.settings import Settings
from app.ui.client import ControllerClient
from app.ui.visitor import VISITOR, visitor_of

KNOWN_SECONDS = 10.0
"""How long a session that was good is taken for good, for the page's own files. Whatever belongs to
somebody comes from the controller, which looks at the session each time."""
FREE = ("/login", "/logout", "/shared/", "/studio/", "/favicon.ico")
"""Shared conversations are read without a name; what draws them is no secret."""


class PageDoor:
    """ASGI middleware: knows the visitor of each request, and refuses those who may not enter."""

    def __init__(self, app: ASGIApp, settings: Settings, controller: ControllerClient) -> None:
        self._app, self._settings, self._controller = app, settings, controller
        self._access = access_of(settings)
        self._known: dict[str, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        before = VISITOR.set(visitor_of(request, self._settings))
        try:
            refusal = await self._refusal(request)
            await (refusal or self._app)(scope, receive, send)
        finally:
            VISITOR.reset(before)

    async def _refusal(self, request: Request) -> Response | None:
        if self._access not in ("login", "proxy") or request.url.path.startswith(FREE):
            return None
        if self._access == "proxy":
            if VISITOR.get().name:
                return None
            return PlainTextResponse("The proxy in front has not said who you are.", 401)
        try:
            known = await self._is_known(VISITOR.get().token)
        except StudioError as error:
            return PlainTextResponse(f"{error.message} {error.remedy}", error.status)
        return None if known else _to_login(request)

    async def _is_known(self, token: str) -> bool:
        if not token:
            return False
        now = time.monotonic()
        if self._known.get(token, 0.0) > now:
            return True
        try:
            await self._controller.me()
        except NotAllowed:
            return False
        self._known = {each: end for each, end in self._known.items() if end > now}
        self._known[token] = now + KNOWN_SECONDS
        return True


def _to_login(request: Request) -> Response:
    """Pages lead to the login and back; anything else is told that the session has ended."""
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/login?next={quote(back, safe='')}", 303)
    return PlainTextResponse("Your session has ended. Log in again.", 401)
