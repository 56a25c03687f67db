"""Which language a browser is sent to: the one chosen on the page, else the one it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.ui.language import LANGUAGES, PREFIXES, Language

COOKIE = "studio-language"
CHOICE = "language"
"""``?language=zh`` in an address chooses a language, and has it remembered."""
A_YEAR = 365 * 24 * 3600


class LanguagePreference:
    """ASGI middleware: an English page that is opened by someone who reads Chinese is redirected.

    ``pages`` are the paths of the pages, without a language: ``/``, ``/arena``. Everything else
    passes unchanged. A browser that keeps no cookies can still follow the switch on the page.
    """

    def __init__(self, app: ASGIApp, pages: Sequence[str]) -> None:
        self._app = app
        self._places = {PREFIXES[each] + page: each for each in LANGUAGES for page in pages}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        here = self._language_of(scope)
        if here is None:
            await self._app(scope, receive, send)
            return
        query = scope["query_string"].decode("latin-1")
        chosen = _chosen(query)
        if chosen:
            send = _remembering(send, chosen)
        # A page in Chinese is only left by choice: its address may have been passed on.
        wanted = chosen or (preferred(Headers(scope=scope)) if here == "en" else here)
        if wanted == here:
            await self._app(scope, receive, send)
            return
        page = scope["path"].removeprefix(PREFIXES[here])
        url = scope.get("root_path", "").rstrip("/") + PREFIXES[wanted] + page
        headers = {"vary": "accept-language, cookie"}
        redirect = RedirectResponse(url + (f"?{query}" if query else ""), 307, headers)
        await redirect(scope, receive, send)

    def _language_of(self, scope: Scope) -> Language | None:
        """The language of the page that is opened; None where it is no page."""
        if scope["type"] != "http" or "text/html" not in Headers(scope=scope).get("accept", ""):
            return None
        return self._places.get(scope["path"])


def preferred(headers: Headers) -> Language:
    """The language that the cookie names; else the first in Accept-Language that the page has."""
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        cookie = None
    if cookie and cookie.value in LANGUAGES:
        return cookie.value
    return accepted(headers.get("accept-language", ""))


def accepted(header: str) -> Language:
    """The language of an Accept-Language header (RFC 9110, 12.5.4): English where none fits."""
    wishes = []
    for place, item in enumerate(header.split(",")):
        name, _, quality = item.strip().partition(";q=")
        try:
            weight = float(quality or 1)
        except ValueError:
            weight = 0.0
        if weight > 0:
            wishes.append((-weight, place, name.split("-")[0].lower()))
    for _, _, name in sorted(wishes):
        for language in LANGUAGES:
            if name == language:
                return language
    return "en"


def _chosen(query: str) -> Language | None:
    named = parse_qs(query).get(CHOICE, [""])[0]
    return next((language for language in LANGUAGES if language == named), None)


def _remembering(send: Send, language: Language) -> Send:
    async def remembering(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            value = f"{COOKIE}={language}; Path=/; Max-Age={A_YEAR}; SameSite=Lax"
            headers.append("set-cookie", value)
        await send(message)

    return remembering
