"""Routes of people: logging in and out, who one is, and what one allows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from fastapi import APIRouter, Request

from app.access import access_of
from app.controller.limits import LoginLimits
from app.controller.requests import person_of, read_message
from app.db.people import People
from app.errors import BadRequest
from app.http import bearer
from app.people import Consent, ConsentRequest, LoginRequest, Me, Session
from app.settings import Settings


def people_routes(
    settings: Settings, people: People, clock: Callable[[], float] = time.monotonic
) -> APIRouter:
    """``/api/login``, ``/api/logout``, ``/api/me`` and ``/api/me/consent``."""
    router = APIRouter(prefix="/api")
    limits = LoginLimits(clock)
    access = access_of(settings)

    @router.post("/login")
    async def log_in(request: Request) -> Session:
        if access != "login":
            raise BadRequest("Nobody logs in here.", "Start the app with --login.")
        wanted = await read_message(request, LoginRequest)
        address = request.state.address
        limits.begin(wanted.name, address)
        session = await asyncio.to_thread(
            people.log_in, wanted.name, wanted.password, settings.session_days
        )
        limits.succeeded(wanted.name, address)
        return session

    @router.post("/logout", status_code=204)
    async def log_out(request: Request) -> None:
        await asyncio.to_thread(people.log_out, bearer(request))

    @router.get("/me")
    async def me(request: Request) -> Me:
        name = request.state.name
        consent = await asyncio.to_thread(people.consent, person_of(request))
        return Me(name=name, access=access, consent=consent)

    @router.get("/me/consent")
    async def consent(request: Request) -> Consent:
        return await asyncio.to_thread(people.consent, person_of(request))

    @router.post("/me/consent")
    async def set_consent(request: Request) -> Consent:
        wanted = await read_message(request, ConsentRequest)
        person = person_of(request)
        await asyncio.to_thread(people.set_consent, person, wanted.allowed)
        return await asyncio.to_thread(people.consent, person)

    return router
