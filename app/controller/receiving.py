"""How a stored picture reaches a model: asked of a worker that serves it."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request

from app.controller.conversations import check_owner
from app.controller.responses import unless_gone
from app.controller.run import Services
from app.http import request_id
from app.pictures import data_url
from app.received import ReceivedPicture


def receiving_routes(services: Services) -> APIRouter:
    """``GET /api/images/{sha256}/received?model=NAME``."""
    router = APIRouter(prefix="/api/images")

    @router.get("/{sha256}/received")
    async def received(sha256: str, request: Request, model: str = "") -> ReceivedPicture:
        await check_owner(services.store, request, sha256)
        return await unless_gone(request, receive(services, sha256, model, request_id(request)))

    return router


async def receive(services: Services, sha256: str, model: str, request_id: str) -> ReceivedPicture:
    """The stored picture as this model's vision tower is given it; an empty name: the first model.

    Raises :class:`app.errors.NotFound`, what :meth:`app.controller.registry.Registry.pick` raises,
    and what :meth:`app.controller.relay.Relay.received` raises.
    """
    data, media_type = await asyncio.to_thread(services.store.image, sha256)
    choice = services.registry.pick(model)
    picture = {"type": "image_url", "image_url": {"url": data_url(data, media_type)}}
    messages = [{"role": "user", "content": [picture]}]
    services.registry.sent(choice.worker_id)
    try:
        return await services.relay.received(choice, messages, request_id)
    finally:
        services.registry.ended(choice.worker_id)
