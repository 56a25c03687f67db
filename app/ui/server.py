"""The page's process."""

from __future__ import annotations

import asyncio
import socket

import uvicorn

from app.access import check_access
from app.ports import listen
from app.settings import Settings
from app.ui.page import create_app


def run(settings: Settings) -> None:
    """Serve the page until SIGTERM or SIGINT.

    Raises :class:`app.ports.PortTaken` where its port cannot be listened on, and
    :class:`app.errors.NotAllowed` where strangers could come in without anybody's decision.
    """
    check_access(settings, settings.page_listens_on)
    with listen(settings.page_listens_on, settings.port, "--port") as sock:
        asyncio.run(serve(settings, sock))


async def serve(settings: Settings, sock: socket.socket) -> None:
    """Serve the page on a listening socket."""
    config = uvicorn.Config(
        create_app(settings),
        log_config=None,
        access_log=False,
        proxy_headers=False,  # what proxies say counts from --trusted-proxies alone
        timeout_graceful_shutdown=5,
    )
    await uvicorn.Server(config).serve(sockets=[sock])
