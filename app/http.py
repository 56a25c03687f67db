"""What the HTTP servers of the app have in common: request ids, bodies with a limit, errors."""

from __future__ import annotations

import hmac
import logging
import math
import re
import uuid

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError

from app.errors import BadRequest, NotAllowed, StudioError, TooLarge
from app.protocol import REQUEST_ID_HEADER
from app.settings import Settings

log = logging.getLogger(__name__)

TEXT_BYTES = 4_000_000
"""Room for everything in a request besides its pictures."""
_REQUEST_ID = re.compile(r"[\w\-]{1,64}")


def body_limit(settings: Settings) -> int:
    """Bytes that the largest allowed request can have: all pictures in base64, and text."""
    return settings.max_images * settings.max_upload_mb * 1_400_000 + TEXT_BYTES


async def read_body(request: Request, limit: int) -> bytes:
    """The body of the request; raises :class:`app.errors.TooLarge` as soon as it is too long."""
    announced = request.headers.get("content-length") or "0"
    if announced.isdigit() and int(announced) > limit:
        raise TooLarge(f"The request is larger than {limit // 1_000_000} MB.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit:
            raise TooLarge(f"The request is larger than {limit // 1_000_000} MB.")
    return bytes(body)


def invalid(error: ValidationError) -> BadRequest:
    """The first thing that is wrong with a request, as one sentence that names the field."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "body"
    return BadRequest(f"The request is not valid at {where}: {first['msg']}.")


def request_id(request: Request) -> str:
    """The id that the caller gave, if it is a plain one, or a new one; the same per request."""
    if not hasattr(request.state, "request_id"):
        given = request.headers.get(REQUEST_ID_HEADER, "")
        request.state.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    return str(request.state.request_id)


def error_response(request: Request, error: Exception) -> Response:
    """Any exception as OpenAI's error body, with the request's id."""
    identity = request_id(request)
    if not isinstance(error, StudioError):
        log.error("request %s failed", identity, exc_info=error)
        error = StudioError("The server failed.")
    headers = {REQUEST_ID_HEADER: identity}
    if error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    return JSONResponse(error.to_wire(identity), status_code=error.status, headers=headers)


def bearer(request: Request) -> str:
    """The token of the request's Authorization header; empty where there is none."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def check_secret(request: Request, secret: str) -> None:
    """Raises :class:`app.errors.NotAllowed` unless the request carries the shared secret."""
    given = request.headers.get("authorization", "").encode()
    if secret and not hmac.compare_digest(given, f"Bearer {secret}".encode()):
        raise NotAllowed("The request came without the shared secret, or with another one.")
