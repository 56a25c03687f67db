"""Logging in and out: plain pages that work without JavaScript, and the session's cookie."""

from __future__ import annotations

import html
from urllib.parse import parse_qs, urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from app.access import access_of, is_trusted
from app.errors import LoginRequired, NotAllowed, StudioError
from app.http import read_body
from app.settings import ROOT, Settings
from app.ui.client import ControllerClient
from app.ui.language import Texts, load_texts
from app.ui.preference import preferred
from app.ui.visitor import COOKIE

PAGE = ROOT / "assets" / "login.html"
LONGEST_FORM = 10_000
DAY = 24 * 3600
_REFUSED = PlainTextResponse("This form was sent from another page. Open the login page.", 403)


def serve_login(app: FastAPI, settings: Settings, controller: ControllerClient) -> None:
    """``/login`` and ``/logout``; both lead to the chat where nobody has to log in."""
    wanted = access_of(settings) == "login"

    @app.get("/login")
    async def form(request: Request, next: str = "/") -> Response:
        return _page(request, next) if wanted else RedirectResponse("/", 303)

    @app.post("/login")
    async def log_in(request: Request) -> Response:
        if _is_foreign(request):
            return _REFUSED
        name = back = ""
        try:
            given = parse_qs((await read_body(request, LONGEST_FORM)).decode("utf-8", "replace"))
            name, password, back = (given.get(key, [""])[0] for key in ("name", "password", "next"))
            session = await controller.log_in(name.strip(), password)
        except StudioError as error:
            return _page(request, back, name, error)
        response = RedirectResponse(_own(back), 303)
        response.set_cookie(
            COOKIE,
            session.token,
            max_age=int(settings.session_days * DAY),
            httponly=True,
            samesite="lax",
            secure=_is_https(request, settings),
        )
        return response

    @app.post("/logout")
    async def log_out(request: Request) -> Response:
        if _is_foreign(request):
            return _REFUSED
        if request.cookies.get(COOKIE):
            try:
                await controller.log_out()
            except LoginRequired:
                pass  # the session has ended by itself
            except StudioError as error:
                return PlainTextResponse(f"{error.message} {error.remedy}", error.status)
        response = RedirectResponse("/login" if wanted else "/", 303)
        response.delete_cookie(COOKIE)
        return response


def _page(
    request: Request, back: str, name: str = "", error: StudioError | None = None
) -> HTMLResponse:
    texts = load_texts(preferred(request.headers))
    values = {
        "language": texts.language,
        "title": texts("login.title"),
        "name_label": texts("login.name"),
        "password_label": texts("login.password"),
        "button": texts("login.button"),
        "help": texts("login.help"),
        "name": name,
        "next": _own(back),
        "error": _told(texts, error) if error else "",
    }
    page = PAGE.read_text("utf-8")
    for key, value in values.items():
        page = page.replace(f"{{{{{key}}}}}", html.escape(value))
    headers = {"Cache-Control": "no-store"}
    return HTMLResponse(page, error.status if error else 200, headers)


def _told(texts: Texts, error: StudioError) -> str:
    if isinstance(error, NotAllowed):
        return texts("login.wrong")
    return texts.error(error)


def _own(path: str) -> str:
    """A path of this page; never another site, wherever a link tries to lead."""
    parts = urlsplit(path)
    own = path.startswith("/") and not path.startswith(("//", "/\\", "/login"))
    return path if own and not parts.netloc and not parts.scheme and path.isprintable() else "/"


def _is_https(request: Request, settings: Settings) -> bool:
    peer = request.client.host if request.client else ""
    if is_trusted(peer, settings):
        return request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
    return request.url.scheme == "https"


def _is_foreign(request: Request) -> bool:
    """Whether another web page sends the form."""
    origin, host = request.headers.get("origin"), request.headers.get("host")
    return origin not in (None, f"http://{host}", f"https://{host}")
