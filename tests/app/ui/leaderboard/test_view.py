"""What the page asks the controller for."""

from __future__ import annotations

from app.leaderboard_protocol import Leaderboard, Slice
from app.settings import Settings
from app.ui.client import ControllerClient
from app.ui.leaderboard.client import fetch_leaderboard
from app.ui.leaderboard.view import slice_of
from tests.app.ui.fake_controller import FakeController
from tests.app.ui.leaderboard.sample import BOARD
from tests.servers import running


def test_controls_become_a_slice() -> None:
    assert slice_of("blind", "model", "", "", "", "", "") == Slice()
    narrowed = slice_of("named", "precision", "m", "8bit", "zh", "count", "without")
    assert narrowed == Slice(
        kind="named",
        by="precision",
        model="m",
        precision="8bit",
        language="zh",
        question="count",
        reason=False,
    )


async def test_only_what_is_chosen_is_asked_for(fake: FakeController) -> None:
    asked: list[str] = []

    async def board(kind: str = "blind", model: str = "", reason: str = "") -> Leaderboard:
        asked.append(f"{kind} {model} {reason}")
        return BOARD

    fake.app.add_api_route("/api/leaderboard", board, methods=["GET"])
    with running(fake.app) as address:
        client = ControllerClient(Settings(controller_url=address))
        assert await fetch_leaderboard(client, Slice()) == BOARD
        await fetch_leaderboard(client, Slice(model="a&b <c>", reason=True))
        await client.close()
    assert asked == ["blind  ", "blind a&b <c> true"]
