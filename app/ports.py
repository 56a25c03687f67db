"""Listening on a port, and a plain sentence where somebody else already does."""

from __future__ import annotations

import errno
import socket

import psutil

from app.errors import StudioError


class PortTaken(StudioError):
    """A port cannot be listened on."""

    code = "port_taken"


def listen(host: str, port: int, flag: str) -> socket.socket:
    """A listening TCP socket; ``flag`` is the command-line flag that chooses another port.

    It says that its protocol is TCP: asyncio turns Nagle's algorithm off only then, and without
    that a reply in two pieces waits for the other side's delayed acknowledgement, 40 ms on Linux.
    Raises :class:`PortTaken` where the port is in use or not allowed, and where the host is not an
    address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        made = socket.create_server((host, port), family=family, backlog=2048)
        return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, made.detach())
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(
                f"Port {port} is already in use{_by(port)}.",
                f"Stop that program, or choose another port: {flag} {_next_port(port)}.",
            ) from error
        raise PortTaken(
            f"Cannot listen on {host}, port {port}: {error.strerror or error}.",
            f"Choose an address of this machine with --host, and a port with {flag}.",
        ) from error


def check_free(host: str, port: int, flag: str) -> None:
    """Raises :class:`PortTaken` where :func:`listen` would."""
    listen(host, port, flag).close()


def _by(port: int) -> str:
    """`` by NAME (process N)`` where the system tells who listens there, else nothing."""
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN
            if listens and connection.laddr.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        # Other people's processes are not shown to everybody; the port is what matters.
        return ""
    return ""


def _next_port(port: int) -> int:
    return port + 1 if port < 65535 else port - 1
