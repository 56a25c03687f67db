"""The page as a web application, without a browser."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.settings import Settings
from app.ui.page import create_app
from tests.app.ui.fake_controller import FakeController
from tests.servers import running


@pytest.fixture
def page(address: str) -> Iterator[httpx.Client]:
    settings = Settings(controller_url=address, max_upload_mb=1)
    with (
        running(asyncio.run(made(settings))) as url,
        httpx.Client(base_url=url, trust_env=False) as client,
    ):
        yield client


async def made(settings: Settings) -> FastAPI:
    return create_app(settings)


def config(page: httpx.Client) -> dict[str, Any]:
    return dict(page.get("/config").json())


def test_the_page_and_all_that_it_names_come_from_here(page: httpx.Client) -> None:
    response = page.get("/")
    assert response.status_code == 200 and "LLaVA Studio" in response.text
    assert response.headers["content-security-policy"].startswith("default-src 'self' ")


def test_stored_pictures_are_served_and_never_change(
    page: httpx.Client, fake: FakeController
) -> None:
    fake.pictures["ab"] = b"bytes"
    response = page.get("/pictures/ab")
    assert (response.content, response.headers["content-type"]) == (b"bytes", "image/png")
    assert "immutable" in response.headers["cache-control"]
    assert response.headers["x-content-type-options"] == "nosniff"
    missing = page.get("/pictures/cd")
    assert missing.status_code == 404 and "no such picture" in missing.text


def test_gradio_keeps_nothing_and_calls_nobody(page: httpx.Client) -> None:
    seen = config(page)
    assert seen["analytics_enabled"] is False and seen["footer_links"] == []
    assert not seen["run_history"]


def test_no_handler_is_part_of_a_public_interface(page: httpx.Client) -> None:
    assert page.get("/gradio_api/info").json()["named_endpoints"] == {}
    private = [dependency["api_visibility"] for dependency in config(page)["dependencies"]]
    assert private and set(private) == {"private"}


def test_an_upload_over_the_limit_is_refused(page: httpx.Client) -> None:
    big = {"files": ("big.png", b"x" * 1_100_000, "image/png")}
    assert page.post("/gradio_api/upload", files=big).status_code == 413


def test_messages_are_shown_without_html_of_models(page: httpx.Client) -> None:
    chats = [part for part in config(page)["components"] if part["type"] == "chatbot"]
    assert chats
    for chat in chats:
        assert chat["props"]["sanitize_html"] is True and chat["props"]["latex_delimiters"] == []


HTML = {"accept": "text/html,*/*;q=0.8"}
CHINESE = {**HTML, "accept-language": "zh-CN,zh;q=0.9"}


def test_a_browser_that_asks_for_chinese_is_sent_there_and_a_switch_is_remembered(
    page: httpx.Client,
) -> None:
    assert page.get("/", headers=HTML).status_code == 200
    sent = page.get("/?chat=c1", headers=CHINESE)
    assert (sent.status_code, sent.headers["location"]) == (307, "/zh/?chat=c1")
    chinese = page.get("/zh/", headers=CHINESE)
    assert 'lang="zh-CN"' in chinese.text and "新对话" in chinese.text
    assert page.get("/zh/", headers=HTML).status_code == 200, "a link that was passed on"
    back = page.get("/zh/?language=en", headers=CHINESE)
    assert back.headers["location"] == "/?language=en"
    page.cookies.clear()
    without_cookies = page.get("/?language=en", headers=CHINESE)
    assert without_cookies.status_code == 200 and 'lang="en"' in without_cookies.text
    page.cookies.set("studio-language", "en")
    assert page.get("/", headers=CHINESE).status_code == 200


def test_the_document_is_ours(page: httpx.Client) -> None:
    text = page.get("/", headers=HTML).text
    assert "og:title" not in text and "twitter:" not in text
    script = re.findall(r'src="\./(studio/page\.js\?\w+)"', text)
    assert len(script) == 1
    for place in ("/", "/zh/"):
        loaded = page.get(place + script[0])
        assert loaded.status_code == 200 and "immutable" in loaded.headers["cache-control"]
    assert page.get("/studio/../app.py").status_code == 404
    assert page.get("/studio/style.py").status_code == 404
