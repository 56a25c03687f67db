"""Which handler runs on which event of the arena's page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

import gradio as gr

from app.battle_protocol import VoteChoice
from app.ui.arena.handlers import ArenaHandlers
from app.ui.arena.screen import ArenaTab, empty
from app.ui.arena.view import ArenaView, messages_of
from app.ui.elements import BOX_IS_FREE
from app.ui.examples import Example
from app.ui.screen import Draft
from app.ui.tab import Tab, at_once

REMEMBER_IN_ADDRESS = """
(stored) => {
  const url = new URL(window.location.href);
  const battle = JSON.parse(stored || "{}").battle;
  if (battle) url.searchParams.set("battle", battle);
  else url.searchParams.delete("battle");
  window.history.replaceState(window.history.state, "", url);
}
"""
"""Each tab finds its own battle again when it is reloaded."""

RECALL_FROM_ADDRESS = """
(tab, stored) => {
  const battle = new URL(window.location.href).searchParams.get("battle");
  const kept = JSON.parse(stored || "{}");
  if (kept.battle === battle) return [tab, stored];
  return [tab, battle ? JSON.stringify({ battle }) : ""];
}
"""
"""What the browser keeps is shared by all its tabs; the address is each tab's own."""


def wire_arena(
    page: gr.Blocks, view: ArenaView, handlers: ArenaHandlers, examples: list[Example]
) -> None:
    """Connect the parts of the page with the handlers; call it inside the page."""
    on: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    _wire_opening(page, view, handlers, on)
    _wire_asking(view, handlers, examples, on)
    _wire_votes(view, handlers, on)


def _wire_opening(
    page: gr.Blocks, view: ArenaView, handlers: ArenaHandlers, on: dict[str, Any]
) -> None:
    async def opened(tab: Any, stored: Any) -> dict[Any, Any]:
        return view.apply(await handlers.open(Tab.read(tab).person, ArenaTab.read(stored)))

    now = [view.tab, view.battle]
    recalled = page.load(None, now, now, js=at_once(RECALL_FROM_ADDRESS), api_visibility="private")
    recalled.then(opened, now, view.changing, **on)
    view.battle.change(None, view.battle, js=REMEMBER_IN_ADDRESS, api_visibility="private")


def _wire_asking(
    view: ArenaView, handlers: ArenaHandlers, examples: list[Example], on: dict[str, Any]
) -> None:
    async def ask(
        draft: Draft, tab: Any, stored: Any, left: Any, right: Any
    ) -> AsyncIterator[dict[Any, Any]]:
        person, battle = Tab.read(tab).person, ArenaTab.read(stored)
        changes = handlers.ask(person, battle, draft, messages_of(left, right))
        async with aclosing(changes):
            async for change in changes:
                yield view.apply(change.but(busy=change.busy or None))

    async def typed(
        box: dict[str, Any] | None, tab: Any, stored: Any, left: Any, right: Any
    ) -> AsyncIterator[dict[Any, Any]]:
        given = box or {}
        draft = Draft(str(given.get("text") or ""), tuple(given.get("files") or ()))
        async for values in ask(draft, tab, stored, left, right):
            yield values

    async def example(
        number: int, tab: Any, stored: Any, left: Any, right: Any
    ) -> AsyncIterator[dict[Any, Any]]:
        chosen = examples[number]
        draft = Draft(chosen.question, (str(chosen.image),))
        async for values in ask(draft, tab, stored, left, right):
            yield values

    async def stopped(tab: Any, stored: Any) -> dict[Any, Any]:
        return view.apply(await handlers.stopped(Tab.read(tab).person, ArenaTab.read(stored)))

    now = [view.tab, view.battle, view.left, view.right]
    asking = [
        view.box.submit(typed, [view.box, *now], view.changing, trigger_mode="once", **on),
        *(
            button.click(partial(example, number), now, view.changing, trigger_mode="once", **on)
            for number, button in enumerate(view.examples)
        ),
    ]
    for event in asking:
        event.success(None, None, view.box, js=BOX_IS_FREE, api_visibility="private")
    gr.on([view.box.stop, view.new.click], None, cancels=asking, api_visibility="private")
    view.box.stop(stopped, [view.tab, view.battle], view.changing, **on)
    view.new.click(lambda: view.apply(empty().but(draft=Draft())), None, view.changing, **on)


def _wire_votes(view: ArenaView, handlers: ArenaHandlers, on: dict[str, Any]) -> None:
    async def vote(choice: VoteChoice | None, tab: Any, stored: Any, reason: str) -> dict[Any, Any]:
        person, battle = Tab.read(tab).person, ArenaTab.read(stored)
        return view.apply(await handlers.vote(person, battle, choice, reason))

    inputs = [view.tab, view.battle, view.reason]
    for choice, button in view.votes.items():
        button.click(partial(vote, choice), inputs, view.changing, trigger_mode="once", **on)
    view.again.click(partial(vote, None), inputs, view.changing, trigger_mode="once", **on)

    async def explain(tab: Any, stored: Any, reason: str) -> dict[Any, Any]:
        person, battle = Tab.read(tab).person, ArenaTab.read(stored)
        return view.apply(await handlers.explain(person, battle, reason))

    view.reason.submit(explain, inputs, view.changing, **on)
