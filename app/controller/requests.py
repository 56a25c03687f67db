"""What the controller's routes read from a request: the body as a message, and who asks."""

from __future__ import annotations

from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from app.access import USER_PREFIX, VISITOR_PREFIX
from app.http import invalid, read_body

SMALL_BODY = 1_000_000
"""Bytes of a request that holds no picture."""
M = TypeVar("M", bound=BaseModel)


async def read_message(request: Request, kind: type[M]) -> M:
    """The message in a small body; raises :class:`app.errors.StudioError`."""
    return validated(kind, await read_body(request, SMALL_BODY))


def validated(kind: type[M], body: bytes) -> M:
    """The message in a body's bytes; raises :class:`app.errors.BadRequest`."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise invalid(error) from error


def person_of(request: Request, user: str | None = None) -> str:
    """Who asks, as the :class:`app.controller.door.Door` has found out.

    Where nobody is asked who they are: OpenAI's ``user``, or "local".
    """
    named = "" if user is None or user.startswith((USER_PREFIX, VISITOR_PREFIX)) else user
    person: str = request.state.person
    return (person or named or "local")[:200]
