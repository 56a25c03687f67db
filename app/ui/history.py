"""A person's conversations beside the chat: what assets/history.js draws, and where it gets it.

The list is fetched over plain HTTP rather than through Gradio's queue: it pages, it is searched
with every letter, and its files are saved as they come. Only opening a conversation is an event of
the page, since it changes what the page shows.

========================================  ====================================================
``GET conversations``                     a page of the list; ``q``, ``after``, ``limit``
``PATCH``, ``DELETE conversations/ID``    rename or pin it; delete it for good
``GET``, ``POST conversations/ID/shares`` its links; one more
``DELETE conversations/ID/shares/TOKEN``  revoke a link
``GET conversations/ID/export``           it as a file; ``format``: markdown, json, llava
``GET me``, ``POST me/consent``           who one is, and whether one's words may train models
``GET pictures/SHA256/thumbnail``         a picture in small
========================================  ====================================================
"""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import quote

import gradio as gr
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from app.errors import StudioError
from app.history import ConversationChange, ConversationEntry, ConversationList, Share, ShareList
from app.http import invalid, read_body
from app.people import Consent, ConsentRequest, Me
from app.protocol import PERSON_HEADER
from app.ui.document import language_of
from app.ui.history_client import HistoryClient
from app.ui.language import LANGUAGES, PREFIXES, PageError, Texts, load_texts
from app.ui.messages import PICTURE_PATH

LONGEST_BODY = 10_000
"""Bytes; a title or a yes is shorter."""
FOREVER = "private, max-age=31536000, immutable"
M = TypeVar("M", bound=BaseModel)


def history_element(texts: Texts) -> gr.HTML:
    """The place of the list. It gives back ``select`` with the ``conversation_id`` to open.

    That is empty for a new chat.
    """
    label = html.escape(texts("history.title"), quote=True)
    return gr.HTML(
        html_template=f'<aside class="history" aria-label="{label}" hidden></aside>',
        js_on_load="studio.mountHistory(element, trigger);",
        apply_default_css=False,
        elem_id="history",
    )


def history_opener() -> gr.HTML:
    """The place of the button that shows the list."""
    return gr.HTML(
        html_template="<span></span>",
        js_on_load="studio.mountHistoryOpener(element);",
        apply_default_css=False,
        elem_id="history-opener",
    )


def serve_history(app: FastAPI, client: HistoryClient) -> None:
    """The routes above, under the pages of each language."""
    router = APIRouter(route_class=_Worded)
    _serve_list(router, client)
    _serve_shares(router, client)
    _serve_person(router, client)
    for language in LANGUAGES:
        app.include_router(router, prefix=PREFIXES[language])


class _Worded(APIRoute):
    """A route whose errors are sentences in the language of its page."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        handle = super().get_route_handler()

        async def worded(request: Request) -> Response:
            try:
                return await handle(request)
            except StudioError as error:
                words = load_texts(language_of(request.url.path)).error(error)
                told = {"message": words, "code": error.code}
                return JSONResponse(told, error.status, {"Cache-Control": "no-store"})

        return worded


def _serve_list(router: APIRouter, client: HistoryClient) -> None:
    @router.get("/conversations")
    async def conversations(
        request: Request, q: str = "", after: str = "", limit: int = 50
    ) -> ConversationList:
        return await client.list(_person(request), q, after, limit)

    @router.patch("/conversations/{name}")
    async def change(request: Request, name: str) -> ConversationEntry:
        wanted = await _message(request, ConversationChange)
        return await client.change(_person(request), name, wanted)

    @router.delete("/conversations/{name}", status_code=204)
    async def delete(request: Request, name: str) -> None:
        await client.delete(_person(request), name)

    @router.get("/conversations/{name}/export")
    async def export(request: Request, name: str, format: str = "markdown") -> Response:
        file = await client.export(_person(request), name, format)
        attached = f"attachment; filename*=UTF-8''{quote(file.name)}"
        headers = {"Content-Disposition": attached, "X-Content-Type-Options": "nosniff"}
        return Response(file.data, media_type=file.media_type, headers=headers)

    @router.get(f"/{PICTURE_PATH}/{{sha256}}/thumbnail")
    async def thumbnail(sha256: str) -> Response:
        picture = await client.thumbnail(sha256)
        headers = {"Cache-Control": FOREVER, "X-Content-Type-Options": "nosniff"}
        return Response(picture.data, media_type=picture.media_type, headers=headers)


def _serve_shares(router: APIRouter, client: HistoryClient) -> None:
    @router.get("/conversations/{name}/shares")
    async def shares(request: Request, name: str) -> ShareList:
        return await client.shares(_person(request), name)

    @router.post("/conversations/{name}/shares")
    async def share(request: Request, name: str) -> Share:
        return await client.share(_person(request), name)

    @router.delete("/conversations/{name}/shares/{token}", status_code=204)
    async def revoke(request: Request, name: str, token: str) -> None:
        await client.revoke(_person(request), name, token)


def _serve_person(router: APIRouter, client: HistoryClient) -> None:
    @router.get("/me")
    async def me(request: Request) -> Me:
        return await client.me(_person(request))

    @router.post("/me/consent")
    async def consent(request: Request) -> Consent:
        wanted = await _message(request, ConsentRequest)
        return await client.consent(_person(request), wanted)


def _person(request: Request) -> str:
    """Who the browser says it is; the controller decides what that is worth.

    The header is needed even where a login says who asks: another web page cannot send it along.
    """
    person = request.headers.get(PERSON_HEADER, "")
    if not person:
        raise PageError("refusals.reload_page")
    return person


async def _message(request: Request, kind: type[M]) -> M:
    try:
        return kind.model_validate_json(await read_body(request, LONGEST_BODY))
    except ValidationError as error:
        raise invalid(error) from error
