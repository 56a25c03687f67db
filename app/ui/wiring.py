"""Which handler runs on which event of the page."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from app.protocol import RatingValue, Sampling
from app.ui.answering import Answering
from app.ui.browsing import Browsing
from app.ui.elements import BOX_IS_FREE, unpacked
from app.ui.examples import Example
from app.ui.messages import Message
from app.ui.rating import RatingHandlers
from app.ui.screen import Change, Choice, Draft, Edit
from app.ui.tab import Tab, at_once
from app.ui.view import View

REMEMBER_IN_ADDRESS = "(stored) => studio.tabChanged(stored)"
"""Each tab finds its own conversation again when it is reloaded; the list marks it."""

RECALL_FROM_ADDRESS = """
(stored) => {
  studio.tabRead(stored);
  const chat = window.studioChatInAddress;
  const kept = JSON.parse(stored);
  if (!chat || kept.conversation === chat) return stored;
  return JSON.stringify({ ...kept, conversation: chat, path: [] });
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

    async def walk(event: gr.EventData, stored: Any) -> dict[Any, Any]:
        return view.apply(await browsing.walk(Tab.read(stored), **_ids(event)))

    async def visit(event: gr.EventData, stored: Any) -> dict[Any, Any]:
        wanted = str(_details(event).get("conversation_id") or "")
        return view.apply(await browsing.visit(Tab.read(stored), wanted))

    async def look(event: gr.EventData, stored: Any) -> dict[Any, Any]:
        answer = str(_details(event).get("answer_id"))
        return view.apply(await browsing.look(Tab.read(stored), answer))

    recalled = blocks.load(
        None, view.tab, view.tab, js=at_once(RECALL_FROM_ADDRESS), api_visibility="private"
    )
    recalled.then(opened, view.tab, **on)
    view.head.waiting.tick(opened, view.tab, **on)
    view.tab.change(None, view.tab, js=REMEMBER_IN_ADDRESS)
    view.head.model.focus(models, [view.tab, view.head.model], **on)
    # A second choice while the first is on its way counts.
    view.head.model.input(choose, [view.tab, view.head.model], trigger_mode="always_last", **on)
    view.chat.undo(undo, view.tab, **on)
    view.chat.select(walk, view.tab, **on)
    view.chat.expand(look, view.tab, **on)
    view.history.select(visit, view.tab, trigger_mode="always_last", **on)


def _wire_answers(view: View, handlers: Handlers, on: dict[str, Any]) -> None:
    answering, examples = handlers.answering, handlers.examples

    def _asked(
        event: gr.EventData,
        tab: Tab,
        box: dict[str, Any] | None,
        shown: list[Message],
        choice: Choice,
    ) -> AsyncGenerator[Change, None]:
        """What the event asks for: an edited question, another answer, or a new question."""
        told = _details(event)
        if "question_id" in told:
            return answering.edit(tab, _edit(told), shown, choice)
        if "answer_id" in told:
            chosen = replace(choice, model=str(told.get("model") or choice.model))
            return answering.regenerate(tab, shown, chosen, str(told["answer_id"]))
        return answering.send(tab, _draft(event, box, examples), shown, choice)

    async def answer(
        event: gr.EventData,
        stored: Any,
        box: dict[str, Any] | None,
        shown: Any,
        model: str | None,
        temperature: float,
        top_p: float,
        max_tokens: int,
    ) -> AsyncIterator[dict[Any, Any]]:
        tab = Tab.read(stored)
        sampling = Sampling(temperature=temperature, top_p=top_p, max_tokens=int(max_tokens))
        choice = Choice(model or "", sampling)
        changes = _asked(event, tab, box, unpacked(shown) or [], choice)
        async with aclosing(changes):
            async for change in changes:
                yield view.apply(change.but(busy=change.busy or None))

    async def stopped(stored: Any) -> dict[Any, Any]:
        return view.apply(await answering.settle(Tab.read(stored)))

    def fresh(stored: Any) -> dict[Any, Any]:
        return view.apply(handlers.browsing.fresh(Tab.read(stored)))

    sampling = [view.sampling.temperature, view.sampling.top_p, view.sampling.max_tokens]
    # One event for all ways to ask, so that a second one waits for the first to end.
    asking = gr.on(
        [view.box.submit, view.chat.retry, view.chat.edit, view.chat.example_select],
        answer,
        [view.tab, view.box, view.chat, view.head.model, *sampling],
        trigger_mode="once",
        **on,
    )
    asking.success(None, None, view.box, js=BOX_IS_FREE, api_visibility="private")
    # Events of one trigger run one after the other: first the answer in work is cancelled.
    ending = [view.box.stop, view.head.new.click, view.history.select]
    gr.on(ending, None, cancels=[asking], api_visibility="private")
    view.box.stop(stopped, view.tab, **on)
    view.head.new.click(fresh, view.tab, **on)


def _wire_ratings(view: View, rating: RatingHandlers, on: dict[str, Any]) -> None:
    async def press(event: gr.EventData, stored: Any, shown: Any) -> dict[Any, Any]:
        told = _details(event)
        answer = str(told.get("answer_id"))
        value: RatingValue = "up" if told.get("value") == "up" else "down"
        if told.get("value") == "flag":
            value = "flag"
        return view.apply(
            await rating.press(Tab.read(stored), unpacked(shown) or [], answer, value)
        )

    async def explain(stored: Any, reason: str | None, comment: str) -> dict[Any, Any]:
        return view.apply(await rating.explain(Tab.read(stored), reason, comment))

    async def take_back(stored: Any, shown: Any) -> dict[Any, Any]:
        return view.apply(await rating.take_back(Tab.read(stored), unpacked(shown) or []))

    said = [view.tab, view.rating.reason, view.rating.comment]
    view.chat.like(press, [view.tab, view.chat], trigger_mode="always_last", **on)
    gr.on([view.rating.done.click, view.rating.comment.submit], explain, said, **on)
    view.rating.take_back.click(take_back, [view.tab, view.chat], **on)


def _draft(event: gr.EventData, box: dict[str, Any] | None, examples: list[Example]) -> Draft:
    """What is asked: the example that was clicked, or else what stands in the box."""
    told = _details(event)
    index = told.get("index")
    if isinstance(index, int) and 0 <= index < len(examples):
        example = examples[index]
        return Draft(example.question, (str(example.image),))
    asked = box or {}
    return Draft(str(asked.get("text") or ""), tuple(asked.get("files") or ()))


def _edit(told: dict[str, Any]) -> Edit:
    kept = tuple(number for number in told.get("pictures") or () if isinstance(number, int))
    return Edit(str(told["question_id"]), str(told.get("text") or ""), kept)


def _ids(event: gr.EventData) -> dict[str, str]:
    """Which question or answer the event names."""
    told = _details(event)
    return {key: str(told[key]) for key in ("question_id", "answer_id") if told.get(key)}


def _details(event: gr.EventData) -> dict[str, Any]:
    """What the browser tells of an event; nothing for a plain one."""
    return event._data if isinstance(event._data, dict) else {}
