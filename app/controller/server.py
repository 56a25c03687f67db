"""The controller process."""

from __future__ import annotations

import uvicorn

from app.access import check_access, is_loopback
from app.controller.api import create_app
from app.errors import NotAllowed
from app.ports import listen
from app.settings import Settings


def run(settings: Settings) -> None:
    """Run the controller until SIGTERM or SIGINT.

    Raises :class:`app.errors.StudioError` where the port is taken, where the data folder cannot be
    used, where other machines could register workers because there is no secret, and where
    strangers could come in without anybody's decision.
    """
    check_secret_is_set(settings)
    check_access(settings, settings.host)
    app = create_app(settings)
    with listen(settings.host, settings.controller_port, "--controller-port") as sock:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            proxy_headers=False,  # what proxies say counts from --trusted-proxies alone
            timeout_graceful_shutdown=5,
        )
        uvicorn.Server(config).run(sockets=[sock])


def check_secret_is_set(settings: Settings) -> None:
    """Raises :class:`app.errors.NotAllowed` where strangers could register workers."""
    if not settings.secret and not is_loopback(settings.host):
        raise NotAllowed(
            f"The controller would listen on {settings.host} without a shared secret, so anybody "
            "could register a worker.",
            "Set LLAVA_STUDIO_SECRET to the same long random text for controller and workers.",
        )
