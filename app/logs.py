"""The log of one process: one line per event, on standard error."""

from __future__ import annotations

import logging
import re

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

_LINE = re.compile(r"^[\d-]+ [\d:,]+ (?P<level>[A-Z]+) \S+: (?P<message>.*)$")


def configure(level: str) -> None:
    """Log from ``level`` (debug, info, warning, error) upwards, all parts of the app alike."""
    logging.basicConfig(level=level.upper(), format=FORMAT, force=True)
    # A line for each request, or for each of its own parts, would drown ours.
    for chatty in ("httpx", "alembic.runtime.plugins"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def warning_in(line: str) -> str | None:
    """The message of a log line of level warning or above; None for any other line."""
    match = _LINE.match(line)
    if match and match["level"] in ("WARNING", "ERROR", "CRITICAL"):
        return match["message"]
    return None
