"""The controller process."""

from __future__ import annotations

import ipaddress

import uvicorn

from app.controller.api import create_app
from app.errors import NotAllowed
from app.ports import listen
from app.settings import Settings


def run(settings: Settings) -> None:
    """Run the controller until SIGTERM or SIGINT.

    Raises :class:`app.errors.StudioError` where the port is taken, where the data folder cannot be
    used, and where other machines could register workers because there is no secret.
    """
    check_secret_is_set(settings)
    app = create_app(settings)
    with listen(settings.host, settings.controller_port, "--controller-port") as sock:
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5)
        uvicorn.Server(config).run(sockets=[sock])


def check_secret_is_set(settings: Settings) -> None:
    """Raises :class:`app.errors.NotAllowed` where strangers could register workers."""
    if not settings.secret and not _is_loopback(settings.host):
        raise NotAllowed(
            f"The controller would listen on {settings.host} without a shared secret, so anybody "
            "could register a worker.",
            "Set LLAVA_STUDIO_SECRET to the same long random text for controller and workers.",
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
