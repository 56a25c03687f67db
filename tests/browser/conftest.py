"""A real browser, and all parts of the app, with a model that says what it is told to."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)

from app.controller.api import create_app as create_controller
from app.errors import WorkerLost
from app.protocol import ModelInfo, WorkerStatus
from app.settings import Settings
from app.ui.page import create_app as create_page
from app.worker.api import create_app as create_worker
from tests.browser.chat import OUTPUT, Chat
from tests.fakes import ScriptedBackend
from tests.servers import free_port, running

SEES = "It knows coloured shapes on plain pages, and nothing else."
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 40_000
"""Milliseconds; only what fails waits so long, and a busy machine is no reason for a failure."""
GRADIO = re.compile(r"/assets/[\w.-]+\.js$")
"""Where Gradio's own scripts lie; the page's are under /studio/."""
LOCAL = re.compile(r"^(https?://127\.0\.0\.1[:/]|data:|blob:|about:)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


class Studio:
    """Controller, worker and page in this process, each of which can be stopped and started."""

    def __init__(self, folder: Path, **given: Any) -> None:
        self.settings = Settings(
            data_dir=folder,
            controller_port=free_port(),
            worker_port=free_port(),
            port=free_port(),
            lease_seconds=3600,
            max_upload_mb=5,
            **given,
        )
        self.url = self.settings.page_address
        self.backend = ScriptedBackend(ModelInfo(id="scripted", context_length=200, sees=SEES))
        self.other = ScriptedBackend(ModelInfo(id="other"), words=("Something ", "else."))
        self._running: dict[str, AbstractContextManager[str]] = {}

    def start(self, *parts: str) -> None:
        """Start "controller", "worker" and "page", or those that are named."""
        for part in parts or ("controller", "worker", "page"):
            self._start(part, self._made(part))

    def stop(self, *parts: str) -> None:
        """Stop all parts, or those that are named."""
        for part in parts or tuple(self._running):
            self._running.pop(part).__exit__(None, None, None)

    def lose_worker(self) -> None:
        """Have the answer in work end as one whose worker has crashed."""
        self.backend.error = WorkerLost("The worker was killed.")
        self.backend.error_at = self.backend.steps
        assert self.backend.gate
        self.backend.gate.release()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the database answers."""
        with sqlite3.connect(self.settings.data_dir / "studio.db") as database:
            rows = database.execute(query).fetchall()
        database.close()
        return rows

    def write(self, statement: str) -> None:
        """Change the database behind the back of the app."""
        with sqlite3.connect(self.settings.data_dir / "studio.db", timeout=30) as database:
            database.execute(statement)
        database.close()

    def _start(self, part: str, app: FastAPI) -> None:
        port = {
            "controller": self.settings.controller_port,
            "worker": self.settings.worker_port,
            "page": self.settings.port,
        }[part]
        self._running[part] = running(app, port)
        self._running[part].__enter__()
        if {"controller", "worker"} <= set(self._running):
            self._register()

    def _made(self, part: str) -> FastAPI:
        if part == "controller":
            return create_controller(self.settings)
        if part == "worker":
            return create_worker(self.settings, [self.backend, self.other])
        return elsewhere(lambda: asyncio.run(_page(self.settings)))

    def _register(self) -> None:
        """What the worker's process does in the background."""
        models = [self.backend.info, self.other.info]
        status = WorkerStatus(worker_id="w1", url=self.settings.worker_address, models=models)
        address = f"{self.settings.controller_address}/internal/workers"
        secret = self.settings.secret
        told = {"Authorization": f"Bearer {secret}"} if secret else {}
        body = status.model_dump()
        reply = httpx.post(address, json=body, headers=told, trust_env=False, timeout=60)
        assert reply.is_success, reply.text


def elsewhere(make: Callable[[], FastAPI]) -> FastAPI:
    """The result of ``make``, run in a thread: the browser's driver occupies this one's loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(make).result()


async def _page(settings: Settings) -> FastAPI:
    return create_page(settings)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """The whole app, started."""
    studio = Studio(tmp_path / "data")
    studio.start()
    yield studio
    for backend in (studio.backend, studio.other):
        if backend.gate:
            backend.gate.release(1000)
    studio.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser per module: while its driver is there, its loop runs in this thread, and no other
    test in the process could run one."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    assert found, "no Chromium: run the tests with make test, or name one in CHROMIUM"
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield browser
        browser.close()


class Visitors:
    """Opens the page in browsers that share nothing, and watches what each of them loads."""

    def __init__(self, browser: Browser, stack: ExitStack) -> None:
        self._browser = browser
        self._stack = stack
        self.elsewhere: list[str] = []
        self.complaints: list[str] = []
        """Errors of scripts and on the console, and missing pictures: the test fails then."""

    def context(self, **options: Any) -> BrowserContext:
        """A browser of a new person."""
        options = {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light", **options}
        context = self._browser.new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        self._stack.callback(context.close)
        context.on("request", self._note)
        context.on("response", self._complain)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("console", self._hear)
        return context

    def open(self, url: str, context: BrowserContext | None = None, **options: Any) -> Chat:
        """The page in a new tab, loaded."""
        page = (context or self.context(**options)).new_page()
        return Chat(page, url).open()

    def _hear(self, message: ConsoleMessage) -> None:
        """Errors on the console, but for two kinds: that a server is away or refuses, as a browser
        says by itself, and what Gradio's client says of streams that end with their page. What a
        page makes of either is what tests look at; errors that nobody catches count, whosever."""
        from_gradio = GRADIO.search(message.location.get("url", ""))
        if message.type != "error" or from_gradio or message.text.startswith("Failed to load"):
            return
        self.complaints.append(f"console: {message.text}")

    def _note(self, request: Request) -> None:
        if not LOCAL.match(request.url):
            self.elsewhere.append(request.url)

    def _complain(self, response: Response) -> None:
        if response.status >= 400 and response.request.resource_type == "image":
            self.complaints.append(f"HTTP {response.status} for the picture {response.url}")


@pytest.fixture
def visitors(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visitors]:
    """People with browsers; nothing that they load may come from outside this machine."""
    if "studio" in request.fixturenames:
        # Started before the browsers, so that it is stopped after they have left.
        request.getfixturevalue("studio")
    OUTPUT.mkdir(exist_ok=True)
    with ExitStack() as stack:
        visitors = Visitors(browser, stack)
        yield visitors
        assert visitors.elsewhere == []
        assert visitors.complaints == []


@pytest.fixture
def chat(visitors: Visitors, studio: Studio) -> Chat:
    """The page in a fresh browser, loaded."""
    return visitors.open(studio.url)


@pytest.fixture
def page(chat: Chat) -> Page:
    return chat.page
