"""The arena's page: its parts from top to bottom, and how a change becomes new values for them."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.battle_protocol import SideModel, VoteChoice
from app.ui.arena.screen import ArenaChange, Ballot, Shown
from app.ui.chatbot import ChatMessage
from app.ui.examples import Example
from app.ui.language import Texts
from app.ui.navigation import ARENA, build_top
from app.ui.parts import build_box
from app.ui.view import STORAGE_KEY, STORAGE_SECRET, notice_html

CHOICES: dict[VoteChoice, str] = {
    "left": "arena.left",
    "tie": "arena.tie",
    "both_bad": "arena.both_bad",
    "right": "arena.right",
}
"""The buttons in their order, and the keys of their words."""


VOTED: dict[VoteChoice, str] = {
    "left": "arena.voted_left",
    "tie": "arena.voted_tie",
    "both_bad": "arena.voted_both_bad",
    "right": "arena.voted_right",
}


@dataclass(frozen=True)
class ArenaView:
    """All parts that handlers read or change."""

    texts: Texts
    tab: gr.BrowserState
    battle: gr.BrowserState
    intro: gr.Column
    examples: list[gr.Button]
    sides: gr.Row
    left: gr.Chatbot
    right: gr.Chatbot
    left_name: gr.HTML
    right_name: gr.HTML
    ballot: gr.Column
    title: gr.HTML
    votes: dict[VoteChoice, gr.Button]
    reason: gr.Textbox
    tools: gr.Row
    again: gr.Button
    new: gr.Button
    notice: gr.HTML
    box: gr.MultimodalTextbox

    @classmethod
    def build(cls, examples: list[Example], texts: Texts) -> ArenaView:
        """All parts in their places; call it inside the page."""
        tab = gr.BrowserState("", storage_key=STORAGE_KEY, secret=STORAGE_SECRET)
        battle = gr.BrowserState("", storage_key=f"{STORAGE_KEY}-arena", secret=STORAGE_SECRET)
        build_top(ARENA, texts)
        with gr.Column(elem_id="arena-intro") as intro:
            gr.HTML(_welcome(texts))
            with gr.Row(elem_id="arena-examples"):
                buttons = [
                    gr.Button(each.question, icon=str(each.image), min_width=100)
                    for each in examples
                ]
        with gr.Row(visible=False, elem_id="sides", equal_height=False) as sides:
            left_name, left = _side("A", texts)
            right_name, right = _side("B", texts)
        with gr.Column(visible=False, elem_id="ballot") as ballot:
            title = gr.HTML(elem_id="ballot-title")
            with gr.Row(elem_id="votes"):
                votes = {
                    choice: gr.Button(texts(key), elem_id=f"vote-{choice}", min_width=120)
                    for choice, key in CHOICES.items()
                }
            reason = gr.Textbox(
                label=texts("arena.reason"),
                show_label=False,
                placeholder=texts("arena.reason_hint"),
                elem_id="vote-reason",
                max_length=2000,
                lines=1,
            )
        with gr.Row(visible=False, elem_id="arena-tools") as tools:
            again = gr.Button(
                texts("arena.again"), size="sm", visible=False, variant="primary", scale=0
            )
            new = gr.Button(texts("arena.new"), size="sm", elem_id="new-battle", scale=0)
        notice = gr.HTML(elem_id="notice")
        box = build_box(texts)
        return cls(
            texts=texts,
            tab=tab,
            battle=battle,
            intro=intro,
            examples=buttons,
            sides=sides,
            left=left,
            right=right,
            left_name=left_name,
            right_name=right_name,
            ballot=ballot,
            title=title,
            votes=votes,
            reason=reason,
            tools=tools,
            again=again,
            new=new,
            notice=notice,
            box=box,
        )

    @property
    def changing(self) -> list[Any]:
        """The parts that :meth:`apply` may change."""
        sides = [self.sides, self.left, self.right, self.left_name, self.right_name]
        ballot = [self.ballot, self.title, *self.votes.values(), self.reason]
        rest = [self.intro, self.tools, self.again, self.new, self.notice, self.box]
        return [self.battle, *sides, *ballot, *rest]

    def apply(self, change: ArenaChange) -> dict[Any, Any]:
        """New values for the parts; what the change does not name stays."""
        values: dict[Any, Any] = {self.notice: gr.skip()}
        if change.tab is not None:
            values[self.battle] = change.tab.store()
        if change.notice is not None:
            values[self.notice] = notice_html(change.notice.words(self.texts))
        if change.again is not None:
            values[self.again] = gr.update(visible=change.again)
        if change.reason is not None:
            values[self.reason] = change.reason
        if change.shown is not None:
            values |= self._shown(change.shown)
        if change.ballot is not None:
            values |= self._ballot(change.ballot)
        return values | self._box(change)

    def _shown(self, shown: Shown) -> dict[Any, Any]:
        begun = bool(shown.left)
        return {
            self.intro: gr.update(visible=not begun),
            self.sides: gr.update(visible=begun),
            self.tools: gr.update(visible=begun),
            self.left: shown.left,
            self.right: shown.right,
        }

    def _ballot(self, ballot: Ballot) -> dict[Any, Any]:
        vote, models = ballot.vote, ballot.models
        chosen = vote.choice if vote else None
        values: dict[Any, Any] = {
            self.ballot: gr.update(visible=ballot.open or vote is not None),
            self.title: ballot_html(ballot, self.texts),
            self.left_name: side_html("A", models.left if models else None, chosen, self.texts),
            self.right_name: side_html("B", models.right if models else None, chosen, self.texts),
        }
        for choice, button in self.votes.items():
            variant = "primary" if choice == chosen else "secondary"
            values[button] = gr.update(variant=variant, interactive=ballot.open)
        if vote is not None:
            values[self.reason] = vote.reason or ""
        return values

    def _box(self, change: ArenaChange) -> dict[Any, Any]:
        new: dict[str, Any] = {}
        if change.draft is not None:
            new["value"] = {"text": change.draft.text, "files": list(change.draft.files)}
        if change.busy is not None:
            new |= {"submit_btn": not change.busy, "stop_btn": change.busy}
        return {self.box: gr.update(**new)} if new else {}


def ballot_html(ballot: Ballot, texts: Texts) -> str:
    """What is asked of the person, or what has become of the vote."""
    if ballot.vote is None:
        words = f"<b>{_say(texts, 'arena.which')}</b> <span>{_say(texts, 'arena.ask_on')}</span>"
        words += f' <span class="keys">{_say(texts, "arena.keys")}</span>'
        if ballot.why_not:
            words += f'<p class="why-not">{html.escape(ballot.why_not)}</p>'
        return f'<div class="ask">{words}</div>'
    said = _say(texts, VOTED[ballot.vote.choice])
    more = "arena.change" if ballot.open else "arena.closed"
    if not ballot.vote.counted:
        more = "arena.not_counted"
    why = f" {html.escape(ballot.why_not)}" if ballot.why_not and not ballot.vote.counted else ""
    return (
        f'<div class="ask" role="status"><b>{said}</b> <span>{_say(texts, more)}{why}</span></div>'
    )


def side_html(letter: str, model: SideModel | None, chosen: VoteChoice | None, texts: Texts) -> str:
    """The head of a side: a letter while it is blind; then its model, precision and the way on."""
    tag = f'<span class="letter">{letter}</span>'
    if model is None:
        return (
            f'<h2 class="side">{tag}<span class="hidden">{_say(texts, "arena.hidden")}</span></h2>'
        )
    won = (letter, chosen) in {("A", "left"), ("B", "right")}
    badge = f'<span class="won">{_say(texts, "arena.preferred")}</span>' if won else ""
    precision = html.escape(model.precision.replace("bit", " bit"))
    name = f'<span class="revealed">{html.escape(model.model)}</span><small>{precision}</small>'
    link = ""
    if model.conversation_id:
        address = html.escape(model.conversation_id)
        link = f'<a class="way-on" href="./?chat={address}">{_say(texts, "compare.continue")}</a>'
    return f'<h2 class="side">{tag}{name}{badge}</h2>{link}'


def _say(texts: Texts, key: str) -> str:
    return html.escape(texts(key))


def _welcome(texts: Texts) -> str:
    title, how = _say(texts, "arena.welcome"), _say(texts, "arena.how")
    return f'<div class="arena-welcome"><h2>{title}</h2><p>{how}</p></div>'


def _side(letter: str, texts: Texts) -> tuple[gr.HTML, gr.Chatbot]:
    with gr.Column(elem_classes="compared", min_width=220):
        name = gr.HTML(side_html(letter, None, None, texts), elem_classes="side-name")
        chat = gr.Chatbot(
            label=texts("arena.answers_of", side=letter),
            show_label=False,
            height="100%",
            scale=1,
            layout="bubble",
            buttons=[],
            latex_delimiters=[],
            elem_classes="duel",
        )
    return name, chat


def messages_of(left: list[ChatMessage] | None, right: list[ChatMessage] | None) -> Shown:
    """What the page shows now, as handlers take it."""
    return Shown(list(left or []), list(right or []))
