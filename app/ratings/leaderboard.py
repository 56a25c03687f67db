"""From votes to a leaderboard: one pure function, live and offline alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.leaderboard_protocol import (
    Choices,
    DayCount,
    Leaderboard,
    PositionBias,
    Slice,
    Standing,
    VoteCounts,
    VoterMark,
    Wins,
)
from app.ratings.agreement import judge_agreement, voters_agreement
from app.ratings.bradley_terry import Ratings, ratings
from app.ratings.columns import KINDS, VOTERS, Bools, Columns, Ints, Names, Votes
from app.ratings.outliers import Marked, marked_voters

ENOUGH_VOTES = 30
ROUNDS = 200
SEED = 0
Floats = npt.NDArray[np.float64]


def leaderboard(
    votes: Votes,
    wanted: Slice | None = None,
    rounds: int = ROUNDS,
    seed: int = SEED,
    enough: int = ENOUGH_VOTES,
) -> Leaderboard:
    """The leaderboard of a slice; the same votes give the same numbers, wherever it is computed."""
    wanted = wanted or Slice()
    columns = votes.columns()
    of_kind = columns.stands & (columns.kind == KINDS.index(wanted.kind))
    base = of_kind & (columns.voters == VOTERS.index(wanted.voters))
    marked = marked_voters(columns, base) if wanted.voters == "person" else []
    reason = _reasons(votes, columns, marked)
    chosen = base & _narrowed(votes, columns, wanted)
    counted = chosen & (reason == 0)
    table = _Table.of(votes, columns, counted, wanted)
    people = of_kind & (columns.voters == 0)
    return Leaderboard(
        slice=wanted,
        votes=_counts(votes, reason, chosen),
        standings=_standings(table, rounds, seed, enough),
        wins=table.wins_view(),
        days=_days(votes, columns, base, reason),
        position=_position(columns, chosen),
        agreement=voters_agreement(columns, counted),
        judge=judge_agreement(columns, people, of_kind & (columns.voters == 1)),
        marked=[_mark_view(votes, mark) for mark in marked],
        choices=_choices(votes, columns, base),
        enough_votes=enough,
        rounds=rounds,
        seed=seed,
    )


def pair_scores(votes: Votes) -> dict[tuple[str, str], tuple[float, int]]:
    """Blind votes of people that count, for each pair of models in alphabetical order: score of
    the first with ties as half, and number."""
    columns = votes.columns()
    chosen = columns.stands & (columns.kind == 0) & (columns.voters == 0)
    table = _Table.of(votes, columns, chosen & (columns.not_counted == 0), Slice())
    score = table.wins + (table.ties + table.both_bad) / 2
    return {
        (first, second): (float(score[i, j]), int(score[i, j] + score[j, i]))
        for i, first in enumerate(table.names)
        for j, second in enumerate(table.names)
        if first < second
    }


def _narrowed(votes: Votes, columns: Columns, wanted: Slice) -> Bools:
    chosen = np.ones(len(columns.kind), bool)
    if wanted.model is not None:
        model = _number(votes.models, wanted.model)
        chosen &= (columns.left == model) | (columns.right == model)
    if wanted.precision is not None:
        precision = _number(votes.precisions, wanted.precision)
        chosen &= columns.left_precision == precision
        chosen &= columns.right_precision == precision
    if wanted.language is not None:
        chosen &= columns.language == _number(votes.languages, wanted.language)
    if wanted.question is not None:
        chosen &= columns.question == _number(votes.questions, wanted.question)
    if wanted.source is not None:
        chosen &= columns.source == _number(votes.sources, wanted.source)
    if wanted.reason is not None:
        chosen &= columns.reason == int(wanted.reason)
    return chosen


def _number(names: Names, name: str) -> int:
    """The number of a name; -1, which no row has, where it is unknown."""
    return names.all.index(name) if name in names.all else -1


def _reasons(votes: Votes, columns: Columns, marked: list[Marked]) -> Ints:
    """Why each vote is not counted, as numbers of ``votes.reasons``: its own reason first."""
    reason = columns.not_counted.copy()
    for mark in marked:
        number = votes.reasons.number(mark.mark)
        reason[(columns.voter == mark.voter) & (reason == 0)] = number
    return reason


def not_counted_reasons(votes: Votes) -> list[str | None]:
    """For each vote in order, why it is not counted, marks of its voter included."""
    columns = votes.columns()
    result = columns.not_counted.copy()
    for kind in range(len(KINDS)):
        base = columns.stands & (columns.kind == kind) & (columns.voters == 0)
        reasons = _reasons(votes, columns, marked_voters(columns, base))
        result[base] = reasons[base]
    return [votes.reasons.all[number] or None for number in result.tolist()]


@dataclass(frozen=True)
class _Table:
    """Counts of (n, n) competitors: row against column."""

    names: list[str]
    wins: Floats
    ties: Floats
    both_bad: Floats

    @classmethod
    def of(cls, votes: Votes, columns: Columns, counted: Bools, wanted: Slice) -> _Table:
        by_precision = wanted.by == "precision"
        width = len(votes.precisions.all) if by_precision else 1
        left, right = columns.left[counted], columns.right[counted]
        if by_precision:
            left = left * width + columns.left_precision[counted]
            right = right * width + columns.right_precision[counted]
        different = left != right
        left, right, choice = left[different], right[different], columns.choice[counted][different]
        there = np.unique(np.concatenate([left, right]))
        names = [_competitor(votes, int(code), width if by_precision else None) for code in there]
        order = np.argsort(np.array(names, dtype=object)) if names else np.zeros(0, np.intp)
        place = np.empty(len(there), np.int64)
        place[order] = np.arange(len(there))
        first = place[np.searchsorted(there, left)]
        second = place[np.searchsorted(there, right)]
        size = len(names)

        def table(rows: Ints, against: Ints) -> Floats:
            flat = np.bincount(rows * size + against, minlength=size * size)
            return flat.reshape(size, size).astype(np.float64)

        wins = table(first[choice == 0], second[choice == 0])
        wins = wins + table(second[choice == 1], first[choice == 1])
        ties, bad = (table(first[choice == c], second[choice == c]) for c in (2, 3))
        ordered = [names[int(index)] for index in order]
        return cls(ordered, wins, ties + ties.T, bad + bad.T)

    @property
    def votes(self) -> Floats:
        """Votes of each pair."""
        return self.wins + self.wins.T + self.ties + self.both_bad

    def wins_view(self) -> Wins:
        score = self.wins + (self.ties + self.both_bad) / 2
        shares = [
            [s / v if v else None for s, v in zip(row_s, row_v, strict=True)]
            for row_s, row_v in zip(score.tolist(), self.votes.tolist(), strict=True)
        ]
        return Wins(names=self.names, votes=self.votes.astype(int).tolist(), shares=shares)


def _competitor(votes: Votes, code: int, width: int | None) -> str:
    if width is None:
        return votes.models.all[code]
    return f"{votes.models.all[code // width]} @ {votes.precisions.all[code % width]}"


def _standings(table: _Table, rounds: int, seed: int, enough: int) -> list[Standing]:
    if not table.names:
        return []
    found = ratings(table.wins, table.ties + table.both_bad, rounds, seed)
    total = table.votes.sum(axis=1)
    rows = [
        Standing(
            rank=_rank(found, total >= enough, i) if total[i] >= enough else None,
            name=name,
            rating=round(float(found.rating[i]), 3),
            low=round(float(found.low[i]), 3),
            high=round(float(found.high[i]), 3),
            votes=int(total[i]),
            wins=int(table.wins[i].sum()),
            losses=int(table.wins[:, i].sum()),
            ties=int(table.ties[i].sum()),
            both_bad=int(table.both_bad[i].sum()),
            enough=bool(total[i] >= enough),
        )
        for i, name in enumerate(table.names)
    ]
    return sorted(rows, key=lambda row: (not row.enough, -row.rating, row.name))


def _rank(found: Ratings, enough: Bools, i: int) -> int:
    """1 and the number of those that are better beyond their intervals."""
    return 1 + int((found.low[enough] > found.high[i]).sum())


def _counts(votes: Votes, reason: Ints, chosen: Bools) -> VoteCounts:
    total, numbers = int(chosen.sum()), np.bincount(reason[chosen], minlength=1)
    not_counted = {
        votes.reasons.all[number]: int(count)
        for number, count in enumerate(numbers)
        if number and count
    }
    left_out = sum(not_counted.values())
    return VoteCounts(
        all=total,
        counted=total - left_out,
        not_counted=not_counted,
        share_not_counted=left_out / total if total else 0.0,
    )


def _days(votes: Votes, columns: Columns, base: Bools, reason: Ints) -> list[DayCount]:
    number = len(votes.days.all)
    counted = np.bincount(columns.day[base & (reason == 0)], minlength=number)
    left_out = np.bincount(columns.day[base & (reason > 0)], minlength=number)
    rows = zip(votes.days.all, counted.tolist(), left_out.tolist(), strict=True)
    return [
        DayCount(day=day, counted=yes, not_counted=no) for day, yes, no in sorted(rows) if yes + no
    ]


def _position(columns: Columns, chosen: Bools) -> PositionBias:
    choice = columns.choice[chosen]
    left, right = int((choice == 0).sum()), int((choice == 1).sum())
    low, high = wilson(left, left + right) if left + right else (None, None)
    return PositionBias(
        left=left,
        right=right,
        neither=len(choice) - left - right,
        share=left / (left + right) if left + right else None,
        low=low,
        high=high,
    )


def wilson(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """95% interval of a share (Wilson 1927): right for small numbers as well."""
    share = successes / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials)
    half *= math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return max(0.0, middle - half), min(1.0, middle + half)


def _mark_view(votes: Votes, mark: Marked) -> VoterMark:
    return VoterMark(
        voter=votes.voters.all[mark.voter][:8],
        mark=mark.mark,
        votes=mark.votes,
        left=mark.left,
        right=mark.right,
        p=mark.p,
    )


def _choices(votes: Votes, columns: Columns, base: Bools) -> Choices:
    def there(names: Names, *numbers: Ints) -> list[str]:
        found = np.unique(np.concatenate([column[base] for column in numbers]))
        return sorted(names.all[int(number)] for number in found if names.all[int(number)])

    return Choices(
        models=there(votes.models, columns.left, columns.right),
        precisions=there(votes.precisions, columns.left_precision, columns.right_precision),
        languages=there(votes.languages, columns.language),
        questions=there(votes.questions, columns.question),
    )
