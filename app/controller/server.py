"""The controller process."""

from __future__ import annotations

import uvicorn

from app.controller.api import create_app
from app.ports import listen
from app.settings import Settings


def run(settings: Settings) -> None:
    """Run the controller until SIGTERM or SIGINT.

    Raises :class:`app.errors.StudioError` where the port is taken or the data folder cannot be
    used.
    """
    app = create_app(settings)
    with listen(settings.host, settings.controller_port, "--controller-port") as sock:
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5)
        uvicorn.Server(config).run(sockets=[sock])
