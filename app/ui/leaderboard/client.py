"""The leaderboard over the controller's HTTP interface (docs/arena.md)."""

from __future__ import annotations

from urllib.parse import urlencode

from app.leaderboard_protocol import Evaluations, Leaderboard, Slice
from app.ui.client import ControllerClient


async def fetch_leaderboard(controller: ControllerClient, part: Slice) -> Leaderboard:
    """The leaderboard of these votes. Raises :class:`app.errors.StudioError`."""
    given = part.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    query = urlencode({name: _said(value) for name, value in given.items()})
    return await controller.call(Leaderboard, "GET", f"/api/leaderboard?{query}")


async def fetch_evaluations(controller: ControllerClient) -> Evaluations:
    """Evaluations beside the votes. Raises :class:`app.errors.StudioError`."""
    return await controller.call(Evaluations, "GET", "/api/evaluations")


def _said(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
