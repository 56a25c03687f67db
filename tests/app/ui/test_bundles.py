"""Bundles are read once, and only bundles are kept."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI, Response

from app.ui import bundles
from app.ui.bundles import KeptBundles

BUNDLE = "/zh/assets/index-DphvyggB.js"


class Files:
    """An app that counts how often each path is asked for; unknown names are not there."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.app = FastAPI()
        self.app.add_middleware(KeptBundles)

        @self.app.get("/{path:path}")
        async def file(path: str) -> Response:
            self.asked.append(path)
            return Response(f"file {path}", 404 if "missing" in path else 200)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
            return await client.get(path, headers=headers)


async def test_a_bundle_is_read_once_for_each_encoding() -> None:
    files = Files()
    first, again = await files.get(BUNDLE), await files.get(BUNDLE)
    assert first.content == again.content == b"file zh/assets/index-DphvyggB.js"
    assert dict(first.headers) == dict(again.headers)
    assert "immutable" in again.headers["cache-control"]
    assert len(files.asked) == 1
    await files.get(BUNDLE, **{"accept-encoding": "identity"})
    assert len(files.asked) == 2


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/config", {}),
        ("/assets/plain.js", {}),
        ("/assets/missing-DphvyggB.js", {}),
        (BUNDLE, {"range": "bytes=0-3"}),
        (BUNDLE, {"if-none-match": "x"}),
    ],
)
async def test_what_may_change_is_asked_for_each_time(path: str, headers: dict[str, str]) -> None:
    files = Files()
    replies = [await files.get(path, **headers) for _ in range(2)]
    assert len(files.asked) == 2
    assert "cache-control" not in replies[0].headers


async def test_what_has_no_room_is_sent_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "KEPT_BYTES", 10)
    files = Files()
    for _ in range(2):
        assert (await files.get(BUNDLE)).is_success
    assert len(files.asked) == 2
