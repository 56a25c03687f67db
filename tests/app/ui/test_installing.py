"""The manifest: what it names is there, and is what it says."""

from __future__ import annotations

import io
import re

import httpx
import pytest
from fastapi import FastAPI
from PIL import Image

from app.ui.document import _head
from app.ui.installing import serve_manifest
from app.ui.page import _serve_assets

HEAD = {"en": "", "zh": "zh/"}


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_browser_finds_all_that_it_needs_to_install_the_page(language: str) -> None:
    app = FastAPI()
    serve_manifest(app)
    _serve_assets(app)
    base = f"http://page/{HEAD[language]}"
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=base) as client:
        link = re.search(r'rel="manifest" href="\./([^"]+)"', _head(language))  # type: ignore[arg-type]
        assert link
        reply = await client.get(link[1])
        assert reply.headers["content-type"].startswith("application/manifest+json")
        manifest = reply.json()
        assert manifest["name"] and manifest["start_url"] == "./"
        assert manifest["display"] == "standalone"
        assert {"any", "maskable"} == {icon["purpose"] for icon in manifest["icons"]}
        assert {"192x192", "512x512"} == {icon["sizes"] for icon in manifest["icons"]}
        for icon in manifest["icons"]:
            picture = Image.open(io.BytesIO((await client.get(icon["src"])).content))
            assert "{}x{}".format(*picture.size) == icon["sizes"]
