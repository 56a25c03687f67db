"""Pictures that browsers cannot show, made ones that they can: a phone's HEIC, a scanner's TIFF.

They are converted when they are added to the message box, so that what a person sees there, crops
and sends is one and the same picture; also, what is wrong with one is said before it is sent.
"""

from __future__ import annotations

import asyncio

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from app.errors import NotAllowed, StudioError
from app.http import read_body
from app.pictures import as_jpeg, limits_of
from app.settings import Settings
from app.ui.language import LANGUAGES, PREFIXES, Texts, load_texts

READABLE_PATH = "readable"
"""Where assets/adding.js sends such a file, relative to the page."""
AT_ONCE = 2
"""Pictures that are decoded at the same time: a large one takes hundreds of megabytes."""


def serve_readable(app: FastAPI, settings: Settings) -> None:
    """Add ``POST readable`` to the page of each language: a picture file in, a JPEG out."""
    places = asyncio.Semaphore(AT_ONCE)
    for language in LANGUAGES:
        _serve(app, settings, places, PREFIXES[language], load_texts(language))


def _serve(
    app: FastAPI, settings: Settings, places: asyncio.Semaphore, prefix: str, texts: Texts
) -> None:
    @app.post(f"{prefix}/{READABLE_PATH}")
    async def readable(request: Request) -> Response:
        try:
            check_own_page(request)
            data = await read_body(request, limits_of(settings).max_bytes)
            async with places:
                made = await asyncio.to_thread(as_jpeg, data, settings)
        except StudioError as error:
            return JSONResponse({"error": texts.error(error)}, error.status)
        return Response(made, media_type="image/jpeg")


def check_own_page(request: Request) -> None:
    """Raises :class:`app.errors.NotAllowed` where a browser says that another site asks."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise NotAllowed("Only this page itself may ask for that.")
