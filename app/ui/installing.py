"""The page as an app of its own: what a browser needs to know to install it.

There is no service worker: browsers install pages without one, and a page that is kept beyond its
server's next version would speak to a controller that it does not know.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from app.ui.document import MANIFEST_PATH, asset_url
from app.ui.language import LANGUAGES, LOCALES, PREFIXES, Language, load_texts
from app.ui.theme import BASALT

ICONS = {"icon-192": (192, "any"), "icon-512": (512, "any"), "maskable-512": (512, "maskable")}
"""Pictures of ``assets/icons``: their side in pixels, and what they are for. All are drawn from
``assets/logo.svg``; of a maskable one, systems may cut off what is outside the inner 80%."""


def serve_manifest(app: FastAPI) -> None:
    """A manifest beside the pages of each language."""
    for language in LANGUAGES:
        app.add_api_route(f"{PREFIXES[language]}/{MANIFEST_PATH}", _route(language))


def _route(language: Language) -> Any:
    async def manifest() -> JSONResponse:
        return JSONResponse(
            manifest_of(language),
            media_type="application/manifest+json",
            headers={"cache-control": "no-cache"},
        )

    return manifest


def manifest_of(language: Language) -> dict[str, Any]:
    """The web app manifest (https://www.w3.org/TR/appmanifest/); addresses are relative to it."""
    texts = load_texts(language)
    return {
        "name": texts("page.title"),
        "short_name": texts("page.title"),
        "description": texts("page.description"),
        "lang": LOCALES[language],
        "start_url": "./",
        "scope": "./",
        "display": "standalone",
        "background_color": BASALT.c50,
        "theme_color": BASALT.c50,
        "icons": [
            {"src": _icon(name), "sizes": f"{side}x{side}", "type": "image/png", "purpose": purpose}
            for name, (side, purpose) in ICONS.items()
        ],
    }


def _icon(name: str) -> str:
    return asset_url(f"icons/{name}.png")
