"""Routes of read-only links: made and revoked by a conversation's person, read by anybody."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.controller.conversations import KEPT_FOREVER
from app.controller.requests import person_of
from app.db.store import Store
from app.history import Share, SharedConversation, ShareList


def share_routes(store: Store) -> APIRouter:
    """The links of one's own conversations."""
    router = APIRouter(prefix="/api/conversations/{conversation_id}/shares")
    shares = store.shares

    @router.post("")
    async def share(conversation_id: str, request: Request) -> Share:
        return await asyncio.to_thread(shares.create, person_of(request), conversation_id)

    @router.get("")
    async def links(conversation_id: str, request: Request) -> ShareList:
        return await asyncio.to_thread(shares.list, person_of(request), conversation_id)

    @router.delete("/{token}", status_code=204)
    async def revoke(conversation_id: str, token: str, request: Request) -> None:
        await asyncio.to_thread(shares.revoke, person_of(request), conversation_id, token)

    return router


def shared_routes(store: Store) -> APIRouter:
    """What a link shows. Nobody is asked who they are."""
    router = APIRouter(prefix="/api/shared/{token}")
    shares = store.shares

    @router.get("")
    async def read(token: str) -> SharedConversation:
        return await asyncio.to_thread(shares.read, token)

    # A revoked link must not live on in a browser's cache.
    brief = KEPT_FOREVER | {"Cache-Control": "private, max-age=60"}

    @router.get("/images/{sha256}")
    async def image(token: str, sha256: str) -> Response:
        data, media_type = await asyncio.to_thread(shares.image, token, sha256)
        return Response(data, media_type=media_type, headers=brief)

    @router.get("/images/{sha256}/thumbnail")
    async def thumbnail(token: str, sha256: str) -> Response:
        data = await asyncio.to_thread(shares.thumbnail, token, sha256)
        return Response(data, media_type="image/webp", headers=brief)

    return router
