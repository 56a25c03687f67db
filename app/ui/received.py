"""How a sent picture reaches a model, for assets/received.js."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response

from app.errors import StudioError
from app.ui.client import ControllerClient
from app.ui.language import LANGUAGES, PREFIXES, Texts, load_texts

RECEIVED_PATH = "received"


def serve_received(app: FastAPI, controller: ControllerClient) -> None:
    """Add ``GET received/{sha256}?model=NAME`` to the page of each language: an
    :class:`app.protocol.ReceivedPicture` as JSON, or ``{"error": words}``."""
    for language in LANGUAGES:
        _serve(app, controller, PREFIXES[language], load_texts(language))


def _serve(app: FastAPI, controller: ControllerClient, prefix: str, texts: Texts) -> None:
    @app.get(f"{prefix}/{RECEIVED_PATH}/{{sha256}}")
    async def received(sha256: str, model: str = "") -> Response:
        try:
            told = await controller.received(sha256, model)
        except StudioError as error:
            return JSONResponse({"error": texts.error(error)}, error.status)
        return JSONResponse(told.model_dump(mode="json"))
