"""A vote on the last answers of two columns: a comparison whose names are known."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import gradio as gr

from app.battle_protocol import (
    Battle,
    ComparisonRequest,
    Vote,
    VoteChoice,
    VoteRequest,
    VoteResult,
)
from app.protocol import StoredAnswer
from app.ui.client import ControllerClient
from app.ui.compare.column import MOST_COLUMNS, ColumnTab
from app.ui.language import PageError, Texts
from app.ui.messages import chosen_answer

Pair = tuple[int, int]
CHOICES: tuple[VoteChoice, ...] = ("left", "tie", "both_bad", "right")
_OTHER: dict[VoteChoice, VoteChoice] = {
    "left": "right",
    "right": "left",
    "tie": "tie",
    "both_bad": "both_bad",
}


class Voting:
    """Casts votes; errors come as :class:`app.errors.StudioError`."""

    def __init__(self, client: ControllerClient) -> None:
        self._client = client

    async def vote(
        self, first: ColumnTab, second: ColumnTab, choice: VoteChoice, reason: str
    ) -> Vote:
        """Vote on the last answers of two columns; ``left`` is the first. Voting again changes it.

        Raises :class:`PageError` where a column has no whole answer, or they answer other
        questions.
        """
        left, right = await asyncio.gather(self._last(first), self._last(second))
        wanted = ComparisonRequest(left_answer_id=left.id, right_answer_id=right.id)
        battle = await self._client.call(
            Battle, "POST", "/api/comparisons", person=first.person, body=wanted
        )
        # The same two answers are the same battle, whichever column they stood in before.
        turned = battle.turns[-1].left.answer_id != left.id
        request = VoteRequest(
            choice=_OTHER[choice] if turned else choice,
            reason=reason.strip() or None,
            key=secrets.token_urlsafe(12),
        )
        path = f"/api/battles/{battle.id}/vote"
        result = await self._client.call(
            VoteResult, "POST", path, person=first.person, body=request
        )
        stored = result.vote
        return stored.model_copy(
            update={"choice": _OTHER[stored.choice] if turned else stored.choice}
        )

    async def _last(self, column: ColumnTab) -> StoredAnswer:
        if not column.conversation:
            raise PageError("refusals.nothing_to_rate")
        stored = await self._client.conversation(column.person, column.conversation)
        answer = chosen_answer(stored.turns[-1]) if stored.turns else None
        if answer is None or answer.finish_reason is None:
            raise PageError("refusals.not_stored_yet")
        return answer


@dataclass(frozen=True)
class CompareBallot:
    """The parts of the vote. ``chosen`` keeps the choice, for a reason that comes after it."""

    texts: Texts
    box: gr.Column
    title: gr.HTML
    pair: gr.Radio
    buttons: dict[VoteChoice, gr.Button]
    reason: gr.Textbox
    chosen: gr.State

    @classmethod
    def build(cls, texts: Texts) -> CompareBallot:
        """All parts, hidden until two columns have answered; call it inside the page."""
        with gr.Column(visible=False, elem_id="ballot") as box:
            with gr.Row(elem_id="ballot-head"):
                title = gr.HTML(elem_id="ballot-title")
                pair = gr.Radio(
                    [],
                    label=texts("compare.pair"),
                    elem_id="vote-pair",
                    visible=False,
                    min_width=120,
                )
            with gr.Row(elem_id="votes"):
                buttons = {
                    choice: gr.Button(elem_id=f"compare-vote-{choice}", min_width=120)
                    for choice in CHOICES
                }
            reason = gr.Textbox(
                label=texts("arena.reason"),
                show_label=False,
                placeholder=texts("arena.reason_hint"),
                elem_id="vote-reason",
                max_length=2000,
                lines=1,
            )
        return cls(texts, box, title, pair, buttons, reason, gr.State(None))

    @property
    def changing(self) -> list[Any]:
        """The parts that the methods below may change."""
        return [self.box, self.title, self.pair, *self.buttons.values(), self.reason, self.chosen]

    def hide(self) -> dict[Any, Any]:
        """While answers are written."""
        return {self.box: gr.update(visible=False)}

    def offer(self, answered: Sequence[int]) -> dict[Any, Any]:
        """An empty vote on two of the columns that have ``answered``, if there are two."""
        pairs = list(combinations(answered, 2))
        if not pairs:
            return self.hide()
        return {
            self.box: gr.update(visible=True),
            self.pair: gr.update(
                choices=[f"{a}-{b}" for a, b in pairs],
                value=f"{pairs[0][0]}-{pairs[0][1]}",
                visible=len(pairs) > 1,
            ),
            **self.empty(pairs[0]),
        }

    def empty(self, pair: Pair) -> dict[Any, Any]:
        """Nothing voted yet on this pair."""
        words = f"<b>{self.texts('compare.which')}</b>"
        values: dict[Any, Any] = {
            self.title: f'<div class="ask">{words}</div>',
            self.reason: "",
            self.chosen: None,
        }
        for choice, button in self.buttons.items():
            values[button] = gr.update(value=self.words(choice, pair), variant="secondary")
        return values

    def show(self, vote: Vote, pair: Pair) -> dict[Any, Any]:
        """What has been voted."""
        said = self.texts("compare.voted", choice=self.words(vote.choice, pair))
        more = self.texts("arena.change" if vote.counted else "arena.not_counted")
        values: dict[Any, Any] = {
            self.title: f'<div class="ask" role="status"><b>{said}</b> <span>{more}</span></div>',
            self.reason: vote.reason or "",
            self.chosen: vote.choice,
        }
        for choice, button in self.buttons.items():
            variant = "primary" if choice == vote.choice else "secondary"
            values[button] = gr.update(variant=variant)
        return values

    def words(self, choice: VoteChoice, pair: Pair) -> str:
        """What a choice is called."""
        if choice in ("tie", "both_bad"):
            return self.texts(f"compare.{choice}")
        column = pair[0] if choice == "left" else pair[1]
        name = self.texts("compare.column", number=column)
        return self.texts("compare.better", column=name)


def pair_of(value: object) -> Pair:
    """The two columns of the radio's value, whatever came from the browser."""
    first, _, second = str(value or "").partition("-")
    if first.isdigit() and second.isdigit() and 1 <= int(first) < int(second) <= MOST_COLUMNS:
        return int(first), int(second)
    return 1, 2
