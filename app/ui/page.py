"""The page as a web application: Gradio's Blocks in each language, and what lies beside them."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import gradio as gr
from fastapi import FastAPI, Response
from fastapi.responses import FileResponse
from gradio.utils import get_upload_folder
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import StudioError
from app.settings import ROOT, Settings
from app.ui.answering import Answering
from app.ui.arena.client import ArenaClient
from app.ui.arena.handlers import ArenaHandlers
from app.ui.arena.view import ArenaView
from app.ui.arena.wiring import wire_arena
from app.ui.blocks import StudioBlocks
from app.ui.browsing import Browsing
from app.ui.bundles import KeptBundles
from app.ui.client import ControllerClient
from app.ui.compare.handlers import Comparing
from app.ui.compare.view import CompareView
from app.ui.compare.voting import Voting
from app.ui.compare.wiring import wire_compare
from app.ui.document import FILES_PATH, Document, asset
from app.ui.door import PageDoor
from app.ui.examples import EXAMPLES, load_examples
from app.ui.history import serve_history
from app.ui.history_client import HistoryClient
from app.ui.installing import serve_manifest
from app.ui.language import LANGUAGES, PREFIXES, Language, Texts, load_texts
from app.ui.leaderboard.view import BoardView
from app.ui.leaderboard.wiring import wire_leaderboard
from app.ui.login import serve_login
from app.ui.messages import PICTURE_PATH
from app.ui.navigation import ARENA, COMPARE, LEADERBOARD, LOGO, PLACES, open_page
from app.ui.preference import LanguagePreference
from app.ui.rating import RatingHandlers
from app.ui.readable import serve_readable
from app.ui.received import serve_received
from app.ui.served import serve_models
from app.ui.shared import serve_shared
from app.ui.theme import StudioTheme
from app.ui.view import View
from app.ui.visitor import visitor_of
from app.ui.wiring import Handlers, wire

SHEETS = ("style", "conversation", "pictures", "models", "history", "arena", "keys")
STYLES = [ROOT / "assets" / f"{name}.css" for name in SHEETS]
MOST_WAITING = 200
"""Events of all visitors that may wait in the queue."""
CLEAN_UP_SECONDS = 3600
KEEP_UPLOADS_SECONDS = 24 * 3600
FOREVER = "public, max-age=31536000, immutable"
CONTENT_POLICY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
"""Nothing is loaded from elsewhere, whatever a model writes: a picture in an answer's Markdown
would tell its server that it was read. Gradio needs inline scripts."""


def create_app(settings: Settings, client: ControllerClient | None = None) -> FastAPI:
    """The page's web application; ``client`` replaces the way to the controller in tests.

    Call it where an event loop runs: without one, Gradio makes several that nobody closes.
    """
    controller = client or ControllerClient(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await controller.close()

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    _serve_pictures(app, controller)
    _serve_assets(app)
    serve_manifest(app)
    serve_readable(app, settings)
    serve_received(app, controller)
    serve_models(app, controller)
    serve_history(app, HistoryClient(controller))
    serve_shared(app, HistoryClient(controller))
    app.add_middleware(KeptBundles)
    app.add_middleware(Document)
    app.add_middleware(LanguagePreference, pages=[f"/{place.path}" for place in PLACES])
    serve_login(app, settings, controller)
    app.add_middleware(PageDoor, settings=settings, controller=controller)
    app.add_middleware(ContentPolicy)
    # "/" takes every path that nothing before it has taken, so it comes last.
    for language in sorted(LANGUAGES, key=lambda each: PREFIXES[each], reverse=True):
        app = _mounted(app, settings, controller, language)
    return app


def _mounted(
    app: FastAPI, settings: Settings, controller: ControllerClient, language: Language
) -> FastAPI:
    """The application with the pages of one language in it."""
    path = PREFIXES[language] or "/"
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        create_blocks(settings, controller, load_texts(language)),
        path=path,
        server_name=settings.page_listens_on,
        server_port=settings.port,
        footer_links=[],
        run_history=False,
        show_error=True,
        max_file_size=settings.max_upload_mb * 1_000_000,
        favicon_path=str(LOGO) if path == "/" else None,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        allowed_paths=[str(EXAMPLES)],
        theme=StudioTheme(),
        css_paths=STYLES,
    )
    return mounted


def create_blocks(settings: Settings, controller: ControllerClient, texts: Texts) -> gr.Blocks:
    """All pages in one language, wired to their handlers."""
    blocks = StudioBlocks(
        title=texts("page.title"),
        analytics_enabled=False,
        fill_height=True,
        delete_cache=(CLEAN_UP_SECONDS, KEEP_UPLOADS_SECONDS),
    )
    blocks.visitor_of = partial(visitor_of, settings=settings)
    _add_chat(blocks, settings, controller, texts)
    _add_compare(blocks, settings, controller, texts)
    _add_arena(blocks, controller, texts)
    with open_page(blocks, LEADERBOARD, texts) as page:
        wire_leaderboard(page, BoardView.build(texts), controller)
    blocks.queue(max_size=MOST_WAITING, default_concurrency_limit=None, api_open=False)
    # Gradio computes statistics over all past events after each event; nobody reads them here.
    blocks._queue.ANAYLTICS_CACHE_FREQUENCY = sys.maxsize
    blocks._queue.ANALYTICS_MAX_EVENTS = 1
    return blocks


def _add_chat(
    blocks: gr.Blocks, settings: Settings, controller: ControllerClient, texts: Texts
) -> None:
    answering = Answering(controller)
    uploads = Path(get_upload_folder()) / "taken-back"
    handlers = Handlers(
        answering,
        Browsing(controller, answering, uploads),
        RatingHandlers(controller),
        load_examples(),
    )
    with blocks:
        wire(blocks, View.build(settings, handlers.examples, texts), handlers)


def _add_compare(
    blocks: gr.Blocks, settings: Settings, controller: ControllerClient, texts: Texts
) -> None:
    comparing = Comparing(controller, Answering(controller))
    with open_page(blocks, COMPARE, texts) as page:
        view = CompareView.build(settings, texts)
        wire_compare(page, view, comparing, RatingHandlers(controller), Voting(controller))


def _add_arena(blocks: gr.Blocks, controller: ControllerClient, texts: Texts) -> None:
    examples = load_examples()
    with open_page(blocks, ARENA, texts) as page:
        view = ArenaView.build(examples, texts)
        wire_arena(page, view, ArenaHandlers(ArenaClient(controller), texts), examples)


def _serve_pictures(app: FastAPI, controller: ControllerClient) -> None:
    @app.get(f"/{PICTURE_PATH}/{{sha256}}")
    @app.get(f"{PREFIXES['zh']}/{PICTURE_PATH}/{{sha256}}")
    async def picture(sha256: str) -> Response:
        try:
            stored = await controller.picture(sha256)
        except StudioError as error:
            return Response(f"{error.message} {error.remedy}", error.status)
        headers = {"cache-control": FOREVER, "x-content-type-options": "nosniff"}
        return Response(stored.data, media_type=stored.media_type, headers=headers)


def _serve_assets(app: FastAPI) -> None:
    @app.get(f"/{FILES_PATH}/{{name:path}}")
    @app.get(f"{PREFIXES['zh']}/{FILES_PATH}/{{name:path}}")
    async def file(name: str) -> Response:
        found = asset(name)
        if found is None:
            return Response(status_code=404)
        return FileResponse(found, headers={"cache-control": FOREVER})


class ContentPolicy:
    """ASGI middleware that adds the policy to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["content-security-policy"] = CONTENT_POLICY
                headers["referrer-policy"] = "same-origin"
            await send(message)

        await self._app(scope, receive, send_with_policy)
