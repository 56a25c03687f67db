"""A leaderboard with everything on it: a name full of HTML, too few votes, a marked voter."""

from __future__ import annotations

from app.leaderboard_protocol import (
    Agreement,
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

EVIL = "<img src=x onerror=alert(1)>"


def standing(rank: int | None, name: str, rating: float, spread: float, votes: int) -> Standing:
    """A competitor whose interval reaches as far up as down."""
    wins = round(votes * 0.5)
    return Standing(
        rank=rank,
        name=name,
        rating=rating,
        low=rating - spread,
        high=rating + spread,
        votes=votes,
        wins=wins,
        losses=votes - wins - 2,
        ties=1,
        both_bad=1,
        enough=votes >= 30,
    )


NAMES = ["llava-tiny-stage2", "llava-tiny-stage1", EVIL]
BOARD = Leaderboard(
    slice=Slice(),
    votes=VoteCounts(
        all=130, counted=118, not_counted={"voter_cap": 4, "strange": 8}, share_not_counted=12 / 130
    ),
    standings=[
        standing(1, NAMES[0], 1124.0, 38.0, 110),
        standing(2, NAMES[1], 982.4, 41.0, 90),
        standing(None, NAMES[2], 893.6, 160.0, 12),
    ],
    wins=Wins(
        names=NAMES,
        votes=[[0, 84, 8], [84, 0, 4], [8, 4, 0]],
        shares=[[None, 0.71, 0.9], [0.29, None, None], [0.1, None, None]],
    ),
    days=[
        DayCount(day=f"2026-01-{day:02d}", counted=day * 7 % 13, not_counted=day % 3)
        for day in range(1, 15)
    ],
    position=PositionBias(left=52, right=40, neither=26, share=0.565, low=0.46, high=0.66),
    agreement=Agreement(questions=12, pairs=31, share=0.71, alpha=0.42),
    judge=Agreement(questions=9, pairs=20, share=0.65, alpha=0.3),
    marked=[VoterMark(voter="3f9a0c12", mark="one_side", votes=40, left=40, right=0, p=1.8e-12)],
    choices=Choices(
        models=NAMES, precisions=["32bit", "8bit"], languages=["en", "zh"], questions=["count"]
    ),
    enough_votes=30,
    rounds=200,
    seed=0,
)
