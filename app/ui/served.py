"""What is served, what is being loaded, and what would fit, for assets/models.js."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response

from app.errors import StudioError
from app.ui.client import ControllerClient
from app.ui.language import LANGUAGES, PREFIXES, Texts, load_texts

SERVED_PATH = "served"


def serve_models(app: FastAPI, controller: ControllerClient) -> None:
    """Add ``GET served`` to the page of each language: ``models``, as in ``GET /v1/models``, and
    ``machines``, as in ``GET /api/machines``; or ``{"error": words}``."""
    for language in LANGUAGES:
        _serve(app, controller, PREFIXES[language], load_texts(language))


def _serve(app: FastAPI, controller: ControllerClient, prefix: str, texts: Texts) -> None:
    @app.get(f"{prefix}/{SERVED_PATH}")
    async def served() -> Response:
        try:
            models, machines = await asyncio.gather(
                controller.list_models(), controller.machines()
            )
        except StudioError as error:
            return JSONResponse({"error": texts.error(error)}, error.status)
        told = {
            "models": [model.model_dump(mode="json") for model in models],
            "machines": [machine.model_dump(mode="json") for machine in machines],
        }
        return JSONResponse(told, headers={"cache-control": "no-store"})
