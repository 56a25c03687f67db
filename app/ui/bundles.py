"""Gradio's own scripts and style sheets, compressed once and kept."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUNDLE = re.compile(r"(?:^|/)assets/([\w.\-]+-[\w\-]{8}\.(?:js|css))$")
"""Their names hold a part of their content's hash: what has the name is always the same."""
FOREVER = "public, max-age=31536000, immutable"
KEPT_BYTES = 32_000_000
"""All of Gradio's together are smaller; what would be too much is sent and not kept."""
OWN_WISHES = ("range", "if-none-match", "if-modified-since")


@dataclass(frozen=True)
class Kept:
    """A response as it was sent."""

    start: Message
    body: bytes


class KeptBundles:
    """ASGI middleware: each bundle is read and compressed for the first one who asks for it.

    Gradio does both again for every request, while the browser waits: docs/benchmarks.md has what
    that costs. Put this behind whatever decides who may come in.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept: dict[tuple[str, str], Kept] = {}
        self._room = KEPT_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = _key(scope)
        if key is None:
            await self._app(scope, receive, send)
            return
        kept = self._kept.get(key)
        if kept is None:
            kept = await self._fetched(scope, receive, send)
            if kept and len(kept.body) <= self._room and key not in self._kept:
                self._room -= len(kept.body)
                self._kept[key] = kept
            return
        await send({**kept.start, "headers": list(kept.start["headers"])})
        await send({"type": "http.response.body", "body": kept.body})

    async def _fetched(self, scope: Scope, receive: Receive, send: Send) -> Kept | None:
        """The response, sent on as it comes; None where it is not the whole file."""
        starts: list[Message] = []
        parts: list[bytes] = []

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] == 200:
                    MutableHeaders(scope=message)["cache-control"] = FOREVER
                starts.append({**message, "headers": list(message["headers"])})
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, noting)
        whole = len(starts) == 1 and starts[0]["status"] == 200
        return Kept(starts[0], b"".join(parts)) if whole else None


def _key(scope: Scope) -> tuple[str, str] | None:
    """The bundle that is asked for, and how it may be encoded; None for everything else."""
    found = BUNDLE.search(scope["path"]) if scope["type"] == "http" else None
    if not found or scope["method"] != "GET":
        return None
    headers = Headers(scope=scope)
    if any(name in headers for name in OWN_WISHES):
        return None
    return found[1], headers.get("accept-encoding", "")
