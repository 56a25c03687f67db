"""What travels about battles, votes and the leaderboard; docs/arena.md shows an example of each.

A battle is one conversation with two models at once. While it is blind, nothing in any message
tells which models they are: no name, no id of an answer, no figure of time or tokens.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.protocol import (
    ChatMessage,
    FinishReason,
    MaxTokens,
    MinP,
    RepetitionPenalty,
    Seed,
    StoredImage,
    Temperature,
    TopK,
    TopP,
    Wire,
)

Side = Literal["left", "right"]
SIDES: tuple[Side, Side] = ("left", "right")
BattleKind = Literal["blind", "named"]
VoteChoice = Literal["left", "right", "tie", "both_bad"]
VoterKind = Literal["person", "judge"]


# --- requests -------------------------------------------------------------------------------------


class TurnRequest(Wire):
    """``POST /api/battles/{id}/turns``: the next question to both models."""

    messages: list[ChatMessage] = Field(min_length=1, max_length=1)


class BattleRequest(TurnRequest):
    """``POST /api/battles``: begin a battle.

    Without ``models`` it is blind, and the server chooses the pair; with two names it is a
    named comparison, which is counted apart. Both sides get the same parameters; without ``seed``
    one is drawn for both. Further turns keep them.
    """

    models: tuple[str, str] | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_k: TopK | None = None
    min_p: MinP | None = None
    repetition_penalty: RepetitionPenalty | None = None
    max_tokens: MaxTokens | None = None
    seed: Seed | None = None


class ComparisonRequest(Wire):
    """``POST /api/comparisons``: two stored answers of the person, as a named battle to vote on."""

    left_answer_id: str
    right_answer_id: str


class VoteRequest(Wire):
    """``POST /api/battles/{id}/vote``.

    Voting again changes the vote until the next turn begins. ``key`` is drawn by the client for
    each press of a button: a request that is sent again with the same key does nothing.
    """

    choice: VoteChoice
    reason: str | None = Field(default=None, max_length=2000)
    key: str | None = Field(default=None, min_length=1, max_length=100)


# --- stream ---------------------------------------------------------------------------------------


class SideError(Wire):
    """Why a side failed, in words that do not tell which model it is."""

    code: str
    message: str
    remedy: str


class Pair(Wire):
    """What is on the two sides; told after the vote, or at once where the battle is named."""

    left: str
    right: str


class BattleBegun(Wire):
    """First event of a turn."""

    type: Literal["battle"] = "battle"
    battle_id: str
    turn: int
    """1 for the first."""
    kind: BattleKind
    models: Pair | None = None


class SideText(Wire):
    """More of one side's answer. Names of models are replaced by :data:`MASK` where blind."""

    type: Literal["text"] = "text"
    side: Side
    text: str


class SideEnded(Wire):
    """One side has ended."""

    type: Literal["ended"] = "ended"
    side: Side
    finish_reason: FinishReason
    masked: bool = False
    """Whether the answer named a model, and that was hidden."""
    error: SideError | None = None


class BattleDone(Wire):
    """Last event: both sides have ended and are stored."""

    type: Literal["done"] = "done"
    counts: bool
    """Whether a vote on this battle counts."""
    why_not: str | None = None
    """One sentence, where it does not."""


BattleEvent = BattleBegun | SideText | SideEnded | BattleDone
MASK = "[name hidden]"


# --- stored battles -------------------------------------------------------------------------------


class SideAnswer(Wire):
    """One side of a turn. ``answer_id`` and ``model`` are told when the names are."""

    text: str
    finish_reason: FinishReason | None
    error: SideError | None = None
    masked: bool = False
    answer_id: str | None = None


class BattleTurn(Wire):
    """A question with both answers."""

    text: str
    images: list[StoredImage]
    left: SideAnswer
    right: SideAnswer


class SideModel(Wire):
    """What made a side's answers; told after the vote."""

    model: str
    revision: str
    precision: str
    conversation_id: str | None
    """The side as an ordinary conversation, to be continued as a normal chat."""


class Models(Wire):
    """Both sides' models."""

    left: SideModel
    right: SideModel


class Vote(Wire):
    """A vote as it stands."""

    id: str
    battle_id: str
    choice: VoteChoice
    reason: str | None
    turn: int
    """After how many turns it was cast."""
    counted: bool
    not_counted: str | None
    """Why it is not counted: ``side_failed``, ``side_stopped``, ``voter_cap``."""
    changes: int
    """How often it was changed; the former ones are kept."""
    created_at: str


class Battle(Wire):
    """``GET /api/battles/{id}``."""

    id: str
    kind: BattleKind
    created_at: str
    turns: list[BattleTurn]
    can_vote: bool
    why_not: str | None = None
    """Why one cannot vote (now), or why the vote would not count: one sentence."""
    counts: bool = True
    vote: Vote | None = None
    models: Models | None = None


class VoteResult(Wire):
    """The reply to a vote: the row, and the names."""

    vote: Vote
    models: Models


class BattleSummary(Wire):
    """One battle in ``GET /api/battles``; ``models`` and ``choice`` are told after the vote."""

    id: str
    kind: BattleKind
    title: str
    created_at: str
    turns: int
    choice: VoteChoice | None = None
    models: Pair | None = None
