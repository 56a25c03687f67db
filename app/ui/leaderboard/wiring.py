"""Which handler runs on which event of the leaderboard's page."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.errors import StudioError
from app.ui.client import ControllerClient
from app.ui.leaderboard.client import fetch_evaluations, fetch_leaderboard
from app.ui.leaderboard.view import BoardView, slice_of
from app.ui.screen import Notice


def wire_leaderboard(page: gr.Blocks, view: BoardView, controller: ControllerClient) -> None:
    """Connect the parts of the page with the controller; call it inside the page."""
    on: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    async def shown(*chosen: str | None) -> dict[Any, Any]:
        kind, by, *narrowing = chosen
        part = slice_of(kind or "blind", by or "model", *narrowing)
        try:
            return view.show(await fetch_leaderboard(controller, part))
        except StudioError as error:
            return view.tell(Notice(error=error))

    async def evaluated() -> dict[Any, Any]:
        try:
            return view.show_evaluations(await fetch_evaluations(controller))
        except StudioError as error:
            return view.tell(Notice(error=error))

    parts = view.controls.parts
    page.load(evaluated, None, [view.notice, view.evaluation], **on)
    gr.on([page.load, view.refresh.tick], shown, parts, view.changing, **on)
    chosen = [part.input for part in parts]
    gr.on(chosen, shown, parts, view.changing, trigger_mode="always_last", **on)
