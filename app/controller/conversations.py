"""Routes of stored conversations: list, search, branches, changes, and their pictures."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.controller.chat import Chat
from app.controller.requests import person_of, read_message
from app.db.store import Store
from app.history import BranchRequest, ConversationChange, ConversationEntry, ConversationList
from app.protocol import PERSON_HEADER, HeadRequest, StoredConversation

KEPT_FOREVER = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
}
"""Headers of pictures: their address is their content."""


def conversation_routes(chat: Chat) -> APIRouter:
    """The routes under ``/api/conversations``."""
    router = APIRouter(prefix="/api/conversations")
    store = chat.store

    @router.get("")
    async def conversations(
        request: Request, q: str = "", after: str | None = None, limit: int = 50
    ) -> ConversationList:
        return await asyncio.to_thread(store.history.page, person_of(request), q, after, limit)

    @router.get("/{conversation_id}")
    async def conversation(conversation_id: str, request: Request) -> StoredConversation:
        return await asyncio.to_thread(store.conversation, person_of(request), conversation_id)

    @router.patch("/{conversation_id}")
    async def change(conversation_id: str, request: Request) -> ConversationEntry:
        wanted = await read_message(request, ConversationChange)
        person = person_of(request)
        return await asyncio.to_thread(store.history.change, person, conversation_id, wanted)

    @router.delete("/{conversation_id}", status_code=204)
    async def delete(conversation_id: str, request: Request) -> None:
        person = person_of(request)
        await asyncio.to_thread(store.history.delete, person, conversation_id)
        chat.stop(conversation_id)

    @router.post("/{conversation_id}/head")
    async def set_head(conversation_id: str, request: Request) -> StoredConversation:
        wanted = await read_message(request, HeadRequest)
        person = person_of(request)
        return await asyncio.to_thread(store.set_head, person, conversation_id, wanted.answer_id)

    @router.post("/{conversation_id}/branch")
    async def branch(conversation_id: str, request: Request) -> StoredConversation:
        wanted = await read_message(request, BranchRequest)
        person = person_of(request)
        return await asyncio.to_thread(store.go_to_branch, person, conversation_id, wanted)

    return router


def picture_routes(chat: Chat) -> APIRouter:
    """The routes under ``/api/images``."""
    router = APIRouter(prefix="/api/images")
    store = chat.store

    @router.get("/{sha256}")
    async def image(sha256: str, request: Request) -> Response:
        await _check_owner(request, sha256)
        data, media_type = await asyncio.to_thread(store.image, sha256)
        return Response(data, media_type=media_type, headers=KEPT_FOREVER)

    @router.get("/{sha256}/thumbnail")
    async def thumbnail(sha256: str, request: Request) -> Response:
        await _check_owner(request, sha256)
        data = await asyncio.to_thread(store.thumbnail, sha256)
        return Response(data, media_type="image/webp", headers=KEPT_FOREVER)

    async def _check_owner(request: Request, sha256: str) -> None:
        await check_owner(store, request, sha256)

    return router


async def check_owner(store: Store, request: Request, sha256: str) -> None:
    """Somebody who is named must have the picture. Browsers send no name with a picture's
    request where nobody logs in: there its SHA-256, which nobody can guess, is enough."""
    if request.state.name or request.headers.get(PERSON_HEADER):
        await asyncio.to_thread(store.check_picture, person_of(request), sha256)
