"""The leaderboard as it travels: ``GET /api/leaderboard``; docs/arena.md explains each number."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.battle_protocol import BattleKind, VoterKind
from app.protocol import Wire

By = Literal["model", "precision"]
LEADERBOARD_SCHEMA = 1


class Slice(Wire):
    """Which votes are looked at; None: all of them. The query parameters of the endpoint."""

    kind: BattleKind = "blind"
    voters: VoterKind = "person"
    by: By = "model"
    """What competes: checkpoints, or checkpoints at each precision."""
    model: str | None = None
    """Battles in which this checkpoint took part."""
    precision: str | None = None
    """Battles in which both sides ran at this precision."""
    language: str | None = None
    question: str | None = None
    reason: bool | None = None
    """Votes with (true) or without (false) a reason."""
    source: str | None = None
    """``arena`` for votes cast here, or where imported ones come from."""


class VoteCounts(Wire):
    """How many votes the slice has, and what became of them."""

    all: int
    counted: int
    not_counted: dict[str, int] = Field(default_factory=dict)
    """Reason -> number."""
    share_not_counted: float = 0.0


class Standing(Wire):
    """One competitor. Ratings: 1000 is the mean; 400 more means ten times the odds to win."""

    rank: int | None
    """Its best place that the intervals leave possible; None with too few votes."""
    name: str
    rating: float
    low: float
    high: float
    """95% bootstrap interval."""
    votes: int
    wins: int
    losses: int
    ties: int
    both_bad: int
    enough: bool
    """False: too few votes to say anything."""


class Wins(Wire):
    """Who wins against whom: row against column."""

    names: list[str]
    votes: list[list[int]]
    """How many votes the pair has."""
    shares: list[list[float | None]]
    """Share of the pair's votes that the row won, ties as half; None where there are none."""


class DayCount(Wire):
    """Votes of one day (UTC), over all slices of this kind of battle and voter."""

    day: str
    counted: int
    not_counted: int


class PositionBias(Wire):
    """How often the left side won among votes that chose a side; 0.5 is no bias.

    Over all votes of the slice, those of marked voters included. ``low``, ``high``: 95% Wilson
    interval; None where nobody chose a side.
    """

    left: int
    right: int
    neither: int
    share: float | None
    low: float | None
    high: float | None


class Agreement(Wire):
    """How far votes agree on the same question and pictures with the same two models.

    ``share``: of all pairs of votes on one of these, the share that says the same (first wins,
    second wins, neither). ``alpha``: Krippendorff's alpha (nominal). None: nothing to compare.
    """

    questions: int
    pairs: int
    share: float | None
    alpha: float | None


class Choices(Wire):
    """What the slice can be narrowed to."""

    models: list[str]
    precisions: list[str]
    languages: list[str]
    questions: list[str]


class VoterMark(Wire):
    """A voter whose votes stand out; they are kept and not counted."""

    voter: str
    """First characters of the salted hash."""
    mark: str
    votes: int
    left: int
    right: int
    p: float
    """Exact two-sided binomial probability of being so far from half and half by chance."""


class Leaderboard(Wire):
    """``GET /api/leaderboard``, and what ``python app.py leaderboard FILE`` writes with --json."""

    schema_version: int = LEADERBOARD_SCHEMA
    slice: Slice
    votes: VoteCounts
    standings: list[Standing]
    wins: Wins
    days: list[DayCount]
    position: PositionBias
    agreement: Agreement
    judge: Agreement | None = None
    """How far judges agree with people on the same battles; where there are judges' votes."""
    marked: list[VoterMark]
    choices: Choices
    enough_votes: int
    """A competitor with fewer counted votes is shown as "too few votes"."""
    rounds: int
    seed: int
    """Of the bootstrap."""


class EvaluatedModel(Wire):
    """One model's headline figure in one evaluation, in percent, with its 95% interval."""

    kind: str
    group: str
    """How it was measured: rows of one kind and group can be compared."""
    model: str
    headline: str
    percent: float
    low: float | None = None
    high: float | None = None
    number: int
    """Of questions."""
    made: str = ""


class RankCorrelation(Wire):
    """Spearman's rho of an evaluation and people's blind votes over ``models`` models that both
    have enough of; None for fewer than three."""

    models: int
    rho: float | None


class Evaluated(Wire):
    """Models that were evaluated alike, the best first."""

    kind: str
    group: str
    headline: str
    models: list[EvaluatedModel]
    correlation: RankCorrelation


class Evaluations(Wire):
    """``GET /api/evaluations``: what ``python -m training.evaluate report --app`` has written."""

    groups: list[Evaluated]
