"""Logging in on the page, in front of a real controller; no browser."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.controller.api import create_app as create_controller
from app.settings import Settings
from app.ui.login import _own
from app.ui.page import create_app
from tests.servers import running

HTML = {"accept": "text/html"}
FORM = {"name": "alice", "password": "correct horse", "next": "/arena?x=1"}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def page_with(stack: ExitStack, folder: Path, **given: Any) -> httpx.Client:
    """A page with a controller of its own; alice is a user."""
    settings = Settings(data_dir=folder, secret="shared", **given)
    controller = create_controller(settings)
    controller.state.store.people.add("alice", "correct horse")
    settings.controller_url = stack.enter_context(running(controller))
    url = stack.enter_context(running(asyncio.run(made(settings))))
    return stack.enter_context(httpx.Client(base_url=url, trust_env=False, timeout=20))


async def made(settings: Settings) -> FastAPI:
    return create_app(settings)


def test_nobody_comes_in_without_logging_in(stack: ExitStack, tmp_path: Path) -> None:
    page = page_with(stack, tmp_path, login=True)
    sent = page.get("/arena?x=1", headers=HTML)
    assert sent.status_code == 303 and sent.headers["location"] == "/login?next=%2Farena%3Fx%3D1"
    for path in ("/config", "/gradio_api/info", "/pictures/" + "0" * 64):
        assert page.get(path).status_code == 401, path
    assert page.post("/gradio_api/upload", files={"files": b"x"}).status_code == 401
    form = page.get("/login?next=/arena").text
    assert 'value="/arena"' in form and "script" not in form
    assert "密码" in page.get("/login", headers={"accept-language": "zh"}).text
    # A wrong password says so, keeps the name, and sets no cookie.
    wrong = page.post("/login", data=FORM | {"password": "wrong", "name": 'a"><b>'})
    assert wrong.status_code == 401 and "password is wrong" in wrong.text
    assert "<b>" not in wrong.text and "set-cookie" not in wrong.headers
    # The right one leads to where the person wanted to go.
    entered = page.post("/login", data=FORM)
    assert entered.status_code == 303 and entered.headers["location"] == "/arena?x=1"
    cookie = entered.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "secure" not in cookie
    assert page.get("/config").is_success
    assert page.get("/", headers=HTML).is_success
    assert page.get("/pictures/" + "0" * 64).status_code == 404
    # Another page cannot log anybody out or in; the person can.
    strange = {"origin": "https://elsewhere.example"}
    for path in ("/login", "/logout"):
        assert page.post(path, data=FORM, headers=strange).status_code == 403
    assert page.get("/config").is_success
    token = page.cookies["studio_session"]
    assert page.post("/logout").headers["location"] == "/login"
    page.cookies.set("studio_session", token)
    assert page.get("/pictures/" + "0" * 64).status_code == 401
    # Guessing is slowed down.
    page.cookies.clear()
    for _ in range(4):
        page.post("/login", data=FORM | {"password": "wrong"})
    page.post("/login", data=FORM | {"password": "wrong"})
    slow = page.post("/login", data=FORM)
    assert slow.status_code == 429 and "Try again in 5 min" in slow.text
    page.cookies.set("studio_session", "ses_guessed")
    assert page.get("/config").status_code == 401


def test_the_header_counts_from_the_proxy_alone(stack: ExitStack, tmp_path: Path) -> None:
    page = page_with(stack, tmp_path, trusted_user_header="X-Forwarded-User")
    assert page.get("/config").status_code == 401
    assert page.get("/config", headers={"X-Forwarded-User": "carol"}).is_success
    assert page.get("/login").headers["location"] == "/"


def test_a_forged_header_is_no_name(stack: ExitStack, tmp_path: Path) -> None:
    given = {"trusted_user_header": "X-Forwarded-User", "trusted_proxies": "192.0.2.1"}
    page = page_with(stack, tmp_path, **given)
    forged = {"X-Forwarded-User": "carol", "X-Forwarded-For": "192.0.2.1"}
    assert page.get("/config", headers=forged).status_code == 401


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/", "/"),
        ("/zh/?chat=1", "/zh/?chat=1"),
        ("//elsewhere.example/x", "/"),
        ("/\\elsewhere.example", "/"),
        ("https://elsewhere.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nSet-Cookie: x", "/"),
        ("", "/"),
    ],
)
def test_a_login_leads_nowhere_else(path: str, own: str) -> None:
    assert _own(path) == own
