"""From votes to a leaderboard: counts, slices, bias, agreement, marks."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from evalica import alpha as evalica_alpha
from pandas import DataFrame

from app.leaderboard_protocol import Slice
from app.ratings.agreement import agreement
from app.ratings.leaderboard import leaderboard, not_counted_reasons, pair_scores, wilson
from tests.app.ratings.votes import simulated, vote, votes_of


def test_no_votes_are_an_empty_leaderboard() -> None:
    found = leaderboard(votes_of())
    assert found.standings == [] and found.votes.all == 0 and found.position.share is None
    assert found.agreement.share is None and found.days == [] and found.choices.models == []


def test_wins_losses_ties_and_shares() -> None:
    choices = ("left", "left", "right", "tie", "both_bad")
    votes = votes_of(*(vote("x", "y", choice) for choice in choices), vote("y", "x", "right"))
    found = leaderboard(votes, enough=6)
    first = found.standings[0]
    assert (first.name, first.wins, first.losses, first.ties, first.both_bad) == ("x", 3, 1, 1, 1)
    assert first.votes == 6 and first.enough and first.rating > 1000
    assert found.wins.names == ["x", "y"] and found.wins.votes == [[0, 6], [6, 0]]
    assert found.wins.shares == [[None, pytest.approx(4 / 6)], [pytest.approx(2 / 6), None]]


def test_too_few_votes_are_said_and_have_no_rank() -> None:
    found = leaderboard(votes_of(vote("x", "y")))
    assert [(row.rank, row.enough) for row in found.standings] == [(None, False)] * 2


def test_a_changed_vote_counts_once_whenever_the_change_is_read() -> None:
    old = vote("x", "y", "left", number=9001, battle_id="b", replaced=True)
    new = vote("x", "y", "right", number=9002, battle_id="b", replaces=9001)
    at_once = votes_of(old, new)
    later = votes_of(old)
    assert leaderboard(later).standings[0].name == "x"
    later.extend([new])
    for votes in (at_once, later):
        found = leaderboard(votes)
        assert found.votes.all == 1 and found.standings[0].name == "y"


def test_named_battles_and_judges_are_never_mixed_with_blind_votes_of_people() -> None:
    votes = votes_of(
        vote("x", "y"),
        *(vote("x", "y", "right", kind="named") for _ in range(3)),
        *(vote("x", "y", "right", voter_kind="judge", voter="gpt") for _ in range(5)),
    )
    assert leaderboard(votes).votes.all == 1
    assert leaderboard(votes, Slice(kind="named")).votes.all == 3
    assert leaderboard(votes, Slice(voters="judge")).votes.all == 5
    assert pair_scores(votes) == {("x", "y"): (1.0, 1)}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Slice(language="de"), 1),
        (Slice(question="count"), 1),
        (Slice(reason=True), 1),
        (Slice(reason=False), 3),
        (Slice(model="z"), 1),
        (Slice(precision="4bit"), 1),
        (Slice(language="xx"), 0),
    ],
)
def test_slices(wanted: Slice, expected: int) -> None:
    votes = votes_of(
        vote("x", "y", language="de", reason="clear"),
        vote("x", "y", question_kind="count"),
        vote("z", "y"),
        vote("x", "y", left_precision="4bit", right_precision="4bit"),
    )
    assert leaderboard(votes, wanted).votes.all == expected


def test_checkpoints_at_each_precision_compete_for_themselves() -> None:
    votes = votes_of(vote("x", "x", left_precision="4bit"), vote("x", "y"))
    assert [row.name for row in leaderboard(votes).standings] == ["x", "y"]
    names = {row.name for row in leaderboard(votes, Slice(by="precision")).standings}
    assert names == {"x @ 4bit", "x @ 32bit", "y @ 32bit"}


def test_three_voters_who_always_choose_left_show_in_the_position_bias() -> None:
    honest = [vote("x", "y", side, voter="h") for side in ("left", "right") * 6]
    stubborn = [vote("x", "y", "left", voter=f"s{n % 3}") for n in range(30)]
    before, after = leaderboard(votes_of(*honest)), leaderboard(votes_of(*honest, *stubborn))
    assert before.position.share == 0.5 and before.position.low < 0.5 < before.position.high
    assert after.position.share == pytest.approx(36 / 42) and after.position.low > 0.5


def test_a_voter_who_always_chooses_left_is_marked_kept_and_not_counted() -> None:
    honest = [vote("x", "y", side, voter="h") for side in ("left", "right") * 6]
    stubborn = [vote("x", "y", "left", voter="stubborn") for _ in range(18)]
    votes = votes_of(*honest, *stubborn)
    found = leaderboard(votes)
    assert found.votes.counted == 12 and found.votes.not_counted == {"one_side": 18}
    assert found.votes.share_not_counted == pytest.approx(18 / 30)
    mark = found.marked[0]
    assert (mark.mark, mark.left, mark.right) == ("one_side", 18, 0)
    assert mark.p == pytest.approx(2 * 0.5**18)
    assert not_counted_reasons(votes).count("one_side") == 18
    assert leaderboard(votes_of(*honest, *stubborn[:17])).marked == []


def test_a_voter_far_from_everybody_else_is_marked() -> None:
    rng = np.random.default_rng(0)
    crowd = [
        vote("good", "bad", "left" if rng.random() < 0.9 else "right", voter=f"v{n % 20}")
        for n in range(200)
    ]
    contrary = [
        vote(*pair, "right" if pair[0] == "good" else "left", voter="contrary")
        for pair, _ in product([("good", "bad"), ("bad", "good")], range(12))
    ]
    found = leaderboard(votes_of(*crowd, *contrary))
    assert [mark.mark for mark in found.marked] == ["contrary"]
    assert found.votes.not_counted == {"contrary": 24}


def test_honest_voters_are_not_marked() -> None:
    rng = np.random.default_rng(1)
    records = [
        vote(record.left_model, record.right_model, record.choice, voter=f"v{n % 10}")
        for n, record in enumerate(simulated([-1, 0, 1], 1000, rng))
    ]
    assert leaderboard(votes_of(*records), rounds=0).marked == []


def test_stored_reasons_are_counted_apart() -> None:
    votes = votes_of(vote(), vote(not_counted="voter_cap"), vote(not_counted="side_failed"))
    found = leaderboard(votes).votes
    assert (found.all, found.counted) == (3, 1)
    assert found.not_counted == {"voter_cap": 1, "side_failed": 1}


def test_votes_over_time() -> None:
    votes = votes_of(
        vote(created_at="2026-01-02T00:00:00"),
        vote(created_at="2026-01-01T09:00:00"),
        vote(created_at="2026-01-01T10:00:00", not_counted="voter_cap"),
    )
    days = [(day.day, day.counted, day.not_counted) for day in leaderboard(votes).days]
    assert days == [("2026-01-01", 1, 1), ("2026-01-02", 1, 0)]


def test_agreement_is_about_the_same_prompt_and_pair_whichever_stood_left() -> None:
    same = {"prompt_hash": "p"}
    votes = votes_of(
        vote("x", "y", "left", **same),
        vote("y", "x", "right", **same),
        vote("x", "y", "tie", **same),
        vote("x", "z", "left", **same),
    )
    found = leaderboard(votes).agreement
    assert (found.questions, found.pairs, found.share) == (1, 3, pytest.approx(1 / 3))


def test_alpha_is_evalicas() -> None:
    rng = np.random.default_rng(0)
    said = rng.integers(0, 3, size=(6, 40)).astype(float)
    said[:3] = said[0]
    said[rng.random(said.shape) < 0.3] = np.nan
    items, numbers = np.nonzero(~np.isnan(said.T))
    found = agreement(items, said.T[items, numbers].astype(np.int64))
    assert found.alpha == pytest.approx(evalica_alpha(DataFrame(said), distance="nominal").alpha)


def test_judges_are_compared_with_people_on_the_same_battles() -> None:
    votes = votes_of(
        vote("x", "y", "left", battle_id="one"),
        vote("x", "y", "left", battle_id="one", voter="judge", voter_kind="judge"),
        vote("x", "y", "left", battle_id="two"),
        vote("x", "y", "right", battle_id="two", voter="judge", voter_kind="judge"),
        vote("x", "y", "left", battle_id="three"),
    )
    found = leaderboard(votes).judge
    assert found is not None and (found.questions, found.pairs, found.share) == (2, 2, 0.5)


def test_two_judges_that_agree_with_each_other_say_nothing_of_people() -> None:
    of_judges = [
        vote("x", "y", "left", battle_id=battle, voter=judge, voter_kind="judge")
        for battle in ("one", "unvoted")
        for judge in ("first", "second")
    ]
    person = vote("x", "y", "right", battle_id="one", number=1)
    found = leaderboard(votes_of(person, *of_judges)).judge
    assert found is not None and (found.pairs, found.share) == (2, 0.0)


def test_ranks_are_shared_where_intervals_overlap() -> None:
    rng = np.random.default_rng(0)
    found = leaderboard(votes_of(*simulated([-1.5, 1.5, 1.5], 600, rng)))
    assert [row.rank for row in found.standings] == [1, 1, 3]


def test_wilsons_interval() -> None:
    assert wilson(0, 10) == (0.0, pytest.approx(0.2775, abs=1e-3))
    assert wilson(50, 100) == (pytest.approx(0.4038, abs=1e-3), pytest.approx(0.5962, abs=1e-3))
