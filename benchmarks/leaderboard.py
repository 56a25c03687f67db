"""A leaderboard of a million votes, with intervals, on one core.

``python benchmarks/leaderboard.py`` draws votes of simulated people on models of known strengths,
puts them into columns as the controller keeps them, and times what a request for the leaderboard
costs: everything that GET /api/leaderboard has (ratings with 200 bootstrap rounds, win matrix,
days, position bias, agreement, marked voters), nothing kept from the request before. The aim: 2 s.
With ``--peer-rounds N`` evalica ranks resamples of the same rows, as its documentation shows for
intervals.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAYON_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

VOTERS, PROMPTS, DAYS = 20_000, 50_000, 365


def records(number: int, models: int, seed: int = 0):  # type: ignore[no-untyped-def]
    """Votes of 20,000 people on 50,000 questions over a year."""
    from app.ratings.records import VoteRecord

    rng = np.random.default_rng(seed)
    strengths = np.linspace(-1, 1, models)
    left = rng.integers(models, size=number)
    right = (left + rng.integers(1, models, size=number)) % models
    chance = 1 / (1 + np.exp(strengths[right] - strengths[left]))
    looks = (rng.random(number) < chance).astype(int) + (rng.random(number) < chance)
    voter, prompt = rng.integers(VOTERS, size=number), rng.integers(PROMPTS, size=number)
    for index in range(number):
        day = index * DAYS // number
        yield VoteRecord(
            number=index + 1, vote_id=f"v{index}", battle_id=f"b{index}", kind="blind",
            voter=f"voter{voter[index]}", voter_kind="person",
            choice=("right", "tie", "left")[looks[index]],
            reason="why" if index % 10 == 0 else None, turn=1,
            left_model=f"model-{left[index]}", left_revision="r", left_precision="4bit",
            right_model=f"model-{right[index]}", right_revision="r", right_precision="4bit",
            language=("en", "zh", "de")[index % 3],
            question_kind=("what", "count", "describe", "yes_no")[index % 4],
            prompt_hash=f"prompt{prompt[index]}",
            created_at=f"2026-{1 + day // 31:02d}-{1 + day % 31:02d}T00:00:00.000000+00:00",
        )  # fmt: skip


def seconds(work: Callable[[], object], repetitions: int) -> str:
    """Median and slowest."""
    taken = []
    for _ in range(repetitions):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return f"{statistics.median(taken):6.2f} s median, {max(taken):6.2f} s slowest"


def peer(rows, rounds: int) -> float:  # type: ignore[no-untyped-def]
    """Seconds of evalica on the rows themselves, once and ``rounds`` times more on resamples."""
    import evalica

    winners = {"left": evalica.Winner.X, "right": evalica.Winner.Y, "tie": evalica.Winner.Draw}
    first = [row.left_model for row in rows]
    second = [row.right_model for row in rows]
    won = [winners[row.choice] for row in rows]
    rng = np.random.default_rng(0)
    begun = time.process_time()
    for _ in range(rounds):
        chosen = rng.integers(len(rows), size=len(rows)).tolist()
        evalica.bradley_terry(
            [first[i] for i in chosen], [second[i] for i in chosen], [won[i] for i in chosen]
        )
    return time.process_time() - begun


def main() -> None:
    """Draw, rank, print."""
    from app.leaderboard_protocol import Slice
    from app.ratings.columns import Votes
    from app.ratings.leaderboard import ROUNDS, leaderboard

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--votes", type=int, default=1_000_000)
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--peer-rounds", type=int, default=0, help="resamples of the peer")
    given = parser.parse_args()
    rows = list(records(given.votes, given.models))
    votes = Votes()
    begun = time.process_time()
    votes.extend(rows)
    print(f"{given.votes:,} votes on {given.models} models; seconds of processor time, one thread")
    print(f"  into columns, once           {time.process_time() - begun:6.2f} s")
    for name, wanted in (
        ("all votes", Slice()),
        ("by precision", Slice(by="precision")),
        ("votes in English", Slice(language="en")),
    ):
        told = seconds(lambda wanted=wanted: leaderboard(votes, wanted), given.repetitions)
        print(f"  {name:<28} {told}")
    if given.peer_rounds:
        taken = peer(rows, given.peer_rounds) / given.peer_rounds
        print(
            f"  peer, one of {ROUNDS} resamples    {taken:6.2f} s, so about {taken * ROUNDS:.0f} s"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  most memory, rows included   {peak:6.0f} MB")


if __name__ == "__main__":
    main()
