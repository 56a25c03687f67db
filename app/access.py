"""Who may use the app, and how it learns who somebody is.

local     only this machine can reach it: a person is the browser they come with
login     names and passwords, from the table of users (python app.py user add NAME)
proxy     a proxy in front has asked for the name, and gives it in a header
open      everybody who reaches it, on purpose: a person is the browser they come with
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal

from app.errors import NotAllowed
from app.settings import Settings

Access = Literal["local", "login", "proxy", "open"]

USER_PREFIX = "user:"
"""Before the names of people who have been asked who they are; no browser can claim it."""
VISITOR_PREFIX = "visitor:"
"""Before what the browsers of strangers call themselves, where the app is open."""
ACTING_HEADER = "X-Acting-User"
"""The page's word for who asks, believed only together with the shared secret."""
ADDRESS_HEADER = "X-Client-Address"
"""The page's word for where somebody comes from, believed in the same way."""
THREE_WAYS = (
    "Choose one: --login, and add people with python app.py user add NAME; "
    "--trusted-user-header X-Forwarded-User, behind a proxy that asks for names; "
    "or --open, to let in everybody who reaches the address."
)


MEGABYTE = 1_000_000


def access_of(settings: Settings) -> Access:
    """How people are told apart. Raises :class:`NotAllowed` where two ways are chosen at once."""
    if settings.login and settings.trusted_user_header:
        raise NotAllowed(
            "--login and --trusted-user-header are both given.",
            "Names come from one place: leave one of the two out.",
        )
    if settings.login:
        return "login"
    if settings.trusted_user_header:
        return "proxy"
    return "open" if settings.open else "local"


@dataclass(frozen=True)
class PersonLimits:
    """What one person may ask for; 0 is no limit."""

    questions_per_minute: int = 0
    answers_at_once: int = 0
    picture_bytes: int = 0


USUAL_LIMITS = PersonLimits(30, 8, 500 * MEGABYTE)
"""Where others come in, and the settings say nothing else."""


def limits_of(settings: Settings) -> PersonLimits:
    """The limits of the settings; those left open are none on one's own machine."""
    usual = PersonLimits() if access_of(settings) == "local" else USUAL_LIMITS
    return PersonLimits(
        settings.questions_per_minute or usual.questions_per_minute,
        settings.answers_at_once or usual.answers_at_once,
        settings.pictures_mb * MEGABYTE or usual.picture_bytes,
    )


def check_access(settings: Settings, host: str) -> None:
    """Raises :class:`NotAllowed` where strangers reach ``host`` without anybody's decision."""
    if access_of(settings) == "local" and not is_loopback(host):
        raise NotAllowed(
            f"The app would listen on {host}, where others can reach it, and ask nobody who they "
            "are.",
            THREE_WAYS,
        )


def consents_by_default(person: str) -> bool:
    """Whether a person who has not been asked allows training on what they say.

    Alone on one's own machine one's ratings are one's own; users and strangers are asked first.
    """
    return not person.startswith((USER_PREFIX, VISITOR_PREFIX))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_trusted(peer: str | None, settings: Settings) -> bool:
    """Whether a connection comes from one of ``--trusted-proxies``."""
    try:
        address = ipaddress.ip_address(peer or "")
    except ValueError:
        return False
    networks = [each.strip() for each in settings.trusted_proxies.split(",") if each.strip()]
    return any(address in ipaddress.ip_network(network, strict=False) for network in networks)
