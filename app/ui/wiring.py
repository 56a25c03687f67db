"""Which handler runs on which event of the page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from app.protocol import Sampling
from app.ui.answering import Answering
from app.ui.browsing import Browsing
from app.ui.examples import Example
from app.ui.rating import RatingHandlers
from app.ui.screen import Choice, Draft
from app.ui.tab import Tab
from app.ui.view import View

REMEMBER_IN_ADDRESS = """
(stored) => {
  const url = new URL(window.location.href);
  const tab = JSON.parse(stored || "{}");
  if (tab.conversation) url.searchParams.set("chat", tab.conversation);
  else url.searchParams.delete("chat");
  window.history.replaceState(window.history.state, "", url);
}
"""
"""Each tab finds its own conversation again when it is reloaded."""

RECALL_FROM_ADDRESS = """
(stored) => {
  const chat = window.studioChatInAddress;
  if (!stored || !chat) return [stored];
  return [JSON.stringify({ ...JSON.parse(stored), conversation: chat, path: [] })];
}
"""
"""The address as it was when the page came (assets/page.js) wins over what all tabs share."""


@dataclass(frozen=True)
class Handlers:
    """What the page can do, and the examples that it offers."""

    answering: Answering
    browsing: Browsing
    rating: RatingHandlers
    examples: list[Example]


def wire(blocks: gr.Blocks, view: View, handlers: Handlers) -> None:
    """Connect the parts of the page with the handlers; call it inside ``gr.Blocks``."""
    on: dict[str, Any] = {
        "outputs": view.changing,
        "show_progress": "hidden",
        "api_visibility": "private",
    }
    _wire_answers(view, handlers, on)
    _wire_ratings(view, handlers.rating, on)
    _wire_browsing(blocks, view, handlers.browsing, on)


def _wire_browsing(blocks: gr.Blocks, view: View, browsing: Browsing, on: dict[str, Any]) -> None:

    async def opened(stored: Any) -> dict[Any, Any]:
        return view.apply(await browsing.open(Tab.read(stored)))

    async def models(stored: Any, chosen: str | None) -> dict[Any, Any]:
        return view.apply(await browsing.models(Tab.read(stored), chosen))

    async def choose(stored: Any, chosen: str | None) -> dict[Any, Any]:
        return view.apply(await browsing.choose(Tab.read(stored), chosen))

    async def undo(stored: Any) -> dict[Any, Any]:
        return view.apply(await browsing.undo(Tab.read(stored)))

    async def step(by: int, stored: Any) -> dict[Any, Any]:
        return view.apply(await browsing.step(Tab.read(stored), by))

    blocks.load(opened, view.tab, js=RECALL_FROM_ADDRESS, **on)
    view.head.waiting.tick(opened, view.tab, **on)
    view.tab.change(None, view.tab, js=REMEMBER_IN_ADDRESS)
    view.head.model.focus(models, [view.tab, view.head.model], **on)
    view.head.model.input(choose, [view.tab, view.head.model], **on)
    view.chat.undo(undo, view.tab, **on)
    view.pager.former.click(partial(step, -1), view.tab, **on)
    view.pager.following.click(partial(step, +1), view.tab, **on)


def _wire_answers(view: View, handlers: Handlers, on: dict[str, Any]) -> None:
    answering, examples = handlers.answering, handlers.examples

    async def answer(
        event: gr.EventData,
        stored: Any,
        box: dict[str, Any] | None,
        shown: list[Any],
        model: str | None,
        temperature: float,
        top_p: float,
        max_tokens: int,
    ) -> AsyncIterator[dict[Any, Any]]:
        tab = Tab.read(stored)
        sampling = Sampling(temperature=temperature, top_p=top_p, max_tokens=int(max_tokens))
        choice = Choice(model or "", sampling)
        changes = (
            answering.regenerate(tab, shown, choice)
            if _is_retry(event)
            else answering.send(tab, _draft(event, box, examples), shown, choice)
        )
        async with aclosing(changes):
            async for change in changes:
                yield view.apply(change)

    async def stopped(stored: Any) -> dict[Any, Any]:
        return view.apply(await answering.settle(Tab.read(stored)))

    def fresh(stored: Any) -> dict[Any, Any]:
        return view.apply(handlers.browsing.fresh(Tab.read(stored)))

    sampling = [view.sampling.temperature, view.sampling.top_p, view.sampling.max_tokens]
    # One event for all ways to ask, so that a second one waits for the first to end.
    asking = gr.on(
        [view.box.submit, view.chat.retry, view.chat.example_select],
        answer,
        [view.tab, view.box, view.chat, view.head.model, *sampling],
        trigger_mode="once",
        **on,
    )
    # Events of one trigger run one after the other: first the answer in work is cancelled.
    ending = [view.box.stop, view.head.new.click, view.chat.clear]
    gr.on(ending, None, cancels=[asking], api_visibility="private")
    view.box.stop(stopped, view.tab, **on)
    gr.on([view.head.new.click, view.chat.clear], fresh, view.tab, **on)


def _wire_ratings(view: View, rating: RatingHandlers, on: dict[str, Any]) -> None:
    async def press(event: gr.LikeData, stored: Any) -> AsyncIterator[dict[Any, Any]]:
        index = event.index if isinstance(event.index, int) else event.index[0]
        for change in await rating.press(Tab.read(stored), index, _button(event)):
            yield view.apply(change)

    async def explain(stored: Any, reason: str | None, comment: str) -> dict[Any, Any]:
        return view.apply(await rating.explain(Tab.read(stored), reason, comment))

    async def take_back(stored: Any) -> dict[Any, Any]:
        return view.apply(await rating.take_back(Tab.read(stored)))

    said = [view.tab, view.rating.reason, view.rating.comment]
    view.chat.like(press, view.tab, trigger_mode="always_last", **on)
    gr.on([view.rating.done.click, view.rating.comment.submit], explain, said, **on)
    view.rating.take_back.click(take_back, view.tab, **on)


def _button(event: gr.LikeData) -> str:
    """The name of the pressed button; empty where a second press took the mark away."""
    if isinstance(event.liked, bool):
        return "Like" if event.liked else "Dislike"
    return event.liked


def _is_retry(event: gr.EventData) -> bool:
    """Whether the chat's retry button was pressed: it tells which question, as text or parts."""
    return "value" in _details(event) and not _is_example(event)


def _is_example(event: gr.EventData) -> bool:
    return isinstance(_details(event).get("value"), dict)


def _draft(event: gr.EventData, box: dict[str, Any] | None, examples: list[Example]) -> Draft:
    """What is asked: the example that was clicked, or else what stands in the box.

    The browser only says which example. The paths that it sends with it are not used: they could
    name any file of this machine, while those of the box have been checked by Gradio.
    """
    if _is_example(event):
        example = examples[int(_details(event)["index"])]
        return Draft(example.question, (str(example.image),))
    asked = box or {}
    return Draft(str(asked.get("text") or ""), tuple(asked.get("files") or ()))


def _details(event: gr.EventData) -> dict[str, Any]:
    """What the browser tells of an event; nothing for a plain one."""
    return event._data if isinstance(event._data, dict) else {}
