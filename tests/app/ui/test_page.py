"""The page as a web application, without a browser."""

from __future__ import annotations

import asyncio
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
    (chat,) = [part for part in config(page)["components"] if part["type"] == "chatbot"]
    assert chat["props"]["sanitize_html"] is True and chat["props"]["latex_delimiters"] == []
