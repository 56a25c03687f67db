"""The page's process."""

from __future__ import annotations

import asyncio
import os
import socket

import uvicorn

from app.access import check_access
from app.errors import StorageFailed
from app.ports import listen
from app.settings import Settings
from app.ui.page import create_app


def run(settings: Settings) -> None:
    """Serve the page until SIGTERM or SIGINT.

    Raises :class:`app.ports.PortTaken` where its port cannot be listened on,
    :class:`app.errors.NotAllowed` where strangers could come in without anybody's decision, and
    :class:`app.errors.StorageFailed` where uploads cannot be kept.
    """
    check_access(settings, settings.page_listens_on)
    with listen(settings.page_listens_on, settings.port, "--port") as sock:
        keep_uploads_apart(settings)
        asyncio.run(serve(settings, sock))


def keep_uploads_apart(settings: Settings) -> None:
    """Have Gradio keep uploads in a folder of this page alone, unless GRADIO_TEMP_DIR names one.

    Gradio calls files by their content, and deletes what it has kept when it ends: in the folder
    that all of a machine's pages share by default, one that ends takes the others' pictures away.
    """
    if "GRADIO_TEMP_DIR" in os.environ:
        return
    folder = settings.data_dir.resolve() / "uploads" / str(settings.port)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFailed(
            f"The folder for uploads {folder} cannot be made: {error.strerror or error}.",
            "Choose another folder with --data-dir.",
        ) from error
    os.environ["GRADIO_TEMP_DIR"] = str(folder)


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
