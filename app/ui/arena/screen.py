"""What a handler wants changed on the arena's page, by name; and a stored battle as it is shown."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from app.battle_protocol import Battle, BattleTurn, Models, Side, SideAnswer, Vote, VoteRequest
from app.errors import StudioError
from app.ui import chatbot, messages
from app.ui.chatbot import ChatMessage
from app.ui.language import Texts
from app.ui.screen import Draft, Notice


class ArenaTab(BaseModel):
    """What one browser tab remembers of the arena: the battle that it shows, and a vote that the
    controller has not confirmed, with the key that keeps it from counting twice."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    battle: str | None = None
    pending: VoteRequest | None = None

    @classmethod
    def read(cls, stored: object) -> Self:
        """The tab that the browser has stored; a new one where that is nothing or unreadable."""
        try:
            return cls.model_validate_json(stored) if isinstance(stored, str) else cls()
        except ValidationError:
            return cls()

    def store(self) -> str:
        """What the browser keeps, as JSON text."""
        return self.model_dump_json()


def new_key() -> str:
    """A key for one press of a vote button."""
    return secrets.token_hex(16)


@dataclass(frozen=True)
class Shown:
    """Both sides as lists of messages."""

    left: list[ChatMessage]
    right: list[ChatMessage]


@dataclass(frozen=True)
class Ballot:
    """What there is to vote on: the vote so far, the names where they are told, and whether
    voting is possible now."""

    open: bool = False
    vote: Vote | None = None
    models: Models | None = None
    why_not: str = ""
    turns: int = 0


@dataclass(frozen=True, kw_only=True)
class ArenaChange:
    """New values for parts of the page; None: unchanged."""

    tab: ArenaTab | None = None
    shown: Shown | None = None
    ballot: Ballot | None = None
    draft: Draft | None = None
    busy: bool | None = None
    notice: Notice | None = None
    again: bool | None = None
    """Whether a vote waits to be cast again."""
    reason: str | None = None

    def but(self, **changes: object) -> ArenaChange:
        """The same with some values replaced."""
        return replace(self, **changes)  # type: ignore[arg-type]


def failed(error: StudioError) -> ArenaChange:
    """Nothing but the notice of what went wrong."""
    return ArenaChange(notice=Notice(error=error))


def empty() -> ArenaChange:
    """A page without a battle."""
    return ArenaChange(
        tab=ArenaTab(),
        shown=Shown([], []),
        ballot=Ballot(),
        busy=False,
        notice=Notice(),
        again=False,
        reason="",
    )


def showing(battle: Battle, texts: Texts) -> ArenaChange:
    """The whole battle as it is stored now."""
    written = all(_ended(turn) for turn in battle.turns)
    return ArenaChange(
        tab=ArenaTab(battle=battle.id),
        shown=Shown(_side(battle, "left", texts), _side(battle, "right", texts)),
        ballot=Ballot(
            open=battle.can_vote and written,
            vote=battle.vote,
            models=battle.models,
            why_not=battle.why_not or "",
            turns=len(battle.turns),
        ),
        busy=False,
        notice=Notice(),
        again=False,
    )


def being_written(battle: Battle) -> bool:
    """Whether an answer of the battle has not ended."""
    return not all(_ended(turn) for turn in battle.turns)


def note_on(answer: SideAnswer, texts: Texts) -> str:
    """What is to be said about how a side ended; empty for an ordinary end."""
    if answer.error:
        return f"{answer.error.message.rstrip()} {answer.error.remedy}".strip()
    match answer.finish_reason:
        case None:
            note = texts("arena.still_writing")
        case "cancelled":
            note = texts("arena.stopped")
        case "length":
            note = texts("arena.at_limit")
        case "error":
            note = texts("arena.broke_off")
        case "stop":
            note = "" if answer.text.strip() else texts("arena.nothing_said")
    masked = texts("arena.masked") if answer.masked else ""
    return f"{note} {masked}".strip()


def _side(battle: Battle, side: Side, texts: Texts) -> list[ChatMessage]:
    lines = []
    for turn in battle.turns:
        urls = [messages.picture_url(image.sha256) for image in turn.images]
        answer = turn.left if side == "left" else turn.right
        lines.append(chatbot.question(turn.text, urls))
        lines.append(chatbot.answer(answer.text, note_on(answer, texts)))
    return lines


def _ended(turn: BattleTurn) -> bool:
    return turn.left.finish_reason is not None and turn.right.finish_reason is not None
