"""Battles and votes on the database itself, SQLite and PostgreSQL alike."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.battle_protocol import Side, VoteRequest
from app.db.battle_store import BattleStore, NewAnswer, NewBattle, hidden_owner
from app.db.judged import JudgedBattle, battle_to_judge, battles_without
from app.db.preference_rows import preferred_by_thumbs, preferred_by_votes, stored_answer
from app.db.records import AnswerSource, NewTurn, Outcome
from app.db.store import Store
from app.db.vote_rows import read_votes
from app.db.vote_store import VoteStore
from app.errors import BattleRunning, NotFound, VoteClosed
from app.leaderboard_protocol import Slice
from app.protocol import ModelInfo, RatingRequest
from app.ratings.importing import Importer
from app.ratings.live import LiveLeaderboard
from app.ratings.vote_logs import LoggedBattle, LoggedThumb, read_votes_of

LEFT, RIGHT = ModelInfo(id="left-model"), ModelInfo(id="right-model")


def battle(store: Store, person: str = "ann", reason: str | None = "stop") -> str:
    """A blind battle of one turn that has ended so."""
    battles = BattleStore(store.database)
    battle_id = battles.create(NewBattle(person, "blind", "What?", LEFT, RIGHT))
    answers: dict[Side, NewAnswer] = {}
    for side, info in (("left", LEFT), ("right", RIGHT)):
        begun = store.begin_turn(NewTurn(hidden_owner(battle_id), "What?"), AnswerSource(info))
        store.save_answer(begun.answer_id, Outcome(side, reason))
        answers[side] = NewAnswer(begun.conversation_id, begun.answer_id)  # type: ignore[index]
    battles.begin_turn(battle_id, 1, answers)
    return battle_id


def test_a_vote_gives_the_conversations_to_the_person(store: Store) -> None:
    battle_id = battle(store)
    assert store.history.page("ann").total == 0
    told = VoteStore(store.database).cast("ann", battle_id, VoteRequest(choice="left"))
    assert (told.models.left.model, told.models.right.model) == ("left-model", "right-model")
    assert store.history.page("ann").total == 2
    store.close()


def test_votes_at_the_same_moment_leave_one_that_stands(store: Store) -> None:
    battle_id, votes = battle(store), VoteStore(store.database)

    def cast(choice: str) -> None:
        votes.cast("ann", battle_id, VoteRequest.model_validate({"choice": choice}))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(cast, ("left", "right", "tie", "both_bad") * 2))
    rows = read_votes(store.database, 0, 100)
    assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))
    assert sum(not row["replaced"] for row in rows) == 1
    assert {row["replaces"] for row in rows} == {None, *range(1, len(rows))}
    store.close()


def test_many_voters_at_once_get_numbers_without_gaps(store: Store) -> None:
    people = [f"p{number}" for number in range(12)]
    battles = {person: battle(store, person) for person in people}
    votes = VoteStore(store.database)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda p: votes.cast(p, battles[p], VoteRequest(choice="tie")), people))
    rows = read_votes(store.database, 0, 100)
    assert [row["number"] for row in rows] == list(range(1, 13))
    assert len({row["voter"] for row in rows}) == 12
    assert LiveLeaderboard(store.database).get(Slice()).votes.all == 12
    store.close()


def test_the_trail_and_the_key(store: Store) -> None:
    battle_id, votes = battle(store), VoteStore(store.database)
    for choice, key in (("left", "a"), ("right", "b"), ("left", "a")):
        request = VoteRequest.model_validate({"choice": choice, "key": key})
        last = votes.cast("ann", battle_id, request)
    assert last.vote.choice == "right" and last.vote.changes == 1
    store.close()


def test_refusals(store: Store) -> None:
    votes, vote = VoteStore(store.database), VoteRequest(choice="left")
    with pytest.raises(NotFound):
        votes.cast("bob", battle(store), vote)
    with pytest.raises(BattleRunning):
        votes.cast("ann", battle(store, reason=None), vote)
    failed = votes.cast("ann", battle(store, reason="error"), vote)
    assert failed.vote.not_counted == "side_failed"
    stopped = votes.cast("ann", battle(store, reason="cancelled"), vote)
    assert stopped.vote.not_counted == "side_stopped"
    store.close()


def test_votes_are_read_ahead_and_pairs_counted_when_enough_is_new(store: Store) -> None:
    votes, live = VoteStore(store.database), LiveLeaderboard(store.database)
    votes.cast("ann", battle(store), VoteRequest(choice="left"))
    live.warm()
    assert live.pair_scores() == {("left-model", "right-model"): (1.0, 1)}
    votes.cast("bob", battle(store, "bob"), VoteRequest(choice="right"))
    assert live.pair_scores() == {("left-model", "right-model"): (1.0, 2)}
    live.stop()
    votes.cast("eve", battle(store, "eve"), VoteRequest(choice="right"))
    live.warm()  # the program ends: nothing more is read
    assert live.pair_scores() == {("left-model", "right-model"): (1.0, 2)}
    store.close()


def test_a_turn_begun_in_two_tabs_is_one(store: Store) -> None:
    battle_id, battles = battle(store), BattleStore(store.database)
    battles.begin_turn(battle_id, 2, {"left": NewAnswer(error="no_worker")})
    with pytest.raises(VoteClosed, match="another tab"):
        battles.begin_turn(battle_id, 2, {})
    store.close()


def test_a_judge_votes_beside_the_person_and_the_names_stay_hidden(store: Store) -> None:
    battle_id, votes = battle(store), VoteStore(store.database)
    votes.cast_as_judge("gpt", battle_id, VoteRequest(choice="right", reason="clearer"))
    assert store.history.page("ann").total == 0
    votes.cast("ann", battle_id, VoteRequest(choice="left"))
    kinds = [(row["voter_kind"], row["voter"]) for row in read_votes(store.database, 0, 9)]
    assert kinds[0] == ("judge", "gpt") and kinds[1][0] == "person"
    store.close()


def test_a_deleted_conversation_leaves_the_vote_without_what_was_said(store: Store) -> None:
    battle_id = battle(store)
    told = VoteStore(store.database).cast("ann", battle_id, VoteRequest(choice="left"))
    store.history.delete("ann", told.models.left.conversation_id or "")
    with store.database.reading() as session:
        assert session.scalar(text("SELECT title FROM battles")) == "(deleted)"
        assert session.scalar(text("SELECT count(*) FROM votes")) == 1
    store.close()


def test_forgetting_a_person_leaves_of_battles_only_who_won(store: Store) -> None:
    """The conversations of a battle without a vote belong to the battle, and go all the same."""
    unvoted, voted, votes = battle(store), battle(store), VoteStore(store.database)
    others = battle(store, "bob")
    votes.cast("ann", voted, VoteRequest(choice="left", reason="it says ann"))
    votes.cast_as_judge("gpt", voted, VoteRequest(choice="right", reason="Ann's picture"))
    votes.cast("bob", others, VoteRequest(choice="left", reason="mine"))
    traces = store.forgetting.forget("ann")
    assert (traces.conversations, traces.battles, traces.votes) == (4, 2, 1)
    with store.database.reading() as session:
        battles = session.execute(text("SELECT id, person, title FROM battles")).all()
        assert {tuple(row) for row in battles} == {
            (unvoted, "forgotten", "(deleted)"),
            (voted, "forgotten", "(deleted)"),
            (others, "bob", "What?"),
        }
        assert session.scalar(text("SELECT count(*) FROM answers")) == 2
        reasons = session.execute(text("SELECT voter_kind, reason FROM votes ORDER BY number"))
        assert [tuple(row) for row in reasons] == [
            ("person", None),
            ("judge", None),
            ("person", "mine"),
        ]
    assert not store.forgetting.traces("ann").any
    store.close()


@pytest.mark.parametrize(
    "change", ["choice = 'maybe'", "voter_kind = 'robot'", "battle_id = 'none'"]
)
def test_wrong_votes_are_refused_by_the_database(store: Store, change: str) -> None:
    VoteStore(store.database).cast("ann", battle(store), VoteRequest(choice="left"))
    with pytest.raises(IntegrityError), store.database.writing() as session:
        session.execute(text(f"UPDATE votes SET {change}"))
    store.close()


def test_what_judges_and_training_are_given(store: Store) -> None:
    """The queries behind judge-battles and export preferences, on each database."""
    first, second = battle(store), battle(store, "bob")
    battle(store, "eve", reason="error")
    votes = VoteStore(store.database)
    votes.cast("ann", first, VoteRequest(choice="right"))
    votes.cast_as_judge("gpt", first, VoteRequest(choice="left"), 1)
    with pytest.raises(VoteClosed, match="1 turns now, not 2"):
        votes.cast_as_judge("gpt", second, VoteRequest(choice="left"), 2)
    assert first not in battles_without(store.database, "gpt", "blind")
    assert first in battles_without(store.database, "other", "blind")
    seen = battle_to_judge(store.database, second)
    assert isinstance(seen, JudgedBattle)
    assert [(turn.question, turn.left, turn.right) for turn in seen.turns] == [
        ("What?", "left", "right")
    ]
    (by_vote,) = preferred_by_votes(store.database)
    with store.database.reading() as session:
        chosen = stored_answer(session, by_vote.chosen)
    assert chosen is not None and (chosen.text, chosen.model) == ("right", "right-model")
    sibling = store.begin_turn(NewTurn("p", "Which?"), AnswerSource(LEFT))
    other = store.begin_sibling("p", sibling.answer_id, AnswerSource(LEFT))
    store.rate("p", RatingRequest(answer_id=other.answer_id, value="up"))
    (by_thumb,) = preferred_by_thumbs(store.database)
    assert (by_thumb.source, by_thumb.rejected) == ("regenerate", sibling.answer_id)
    store.close()


def test_logged_votes_are_imported_once(store: Store, tmp_path: Path) -> None:
    row = {"model_a": "a", "model_b": "b", "winner": "model_a", "judge": "x", "tstamp": 1}
    seen = {"messages": [["USER", "What?"], ["ASSISTANT", "It."]], "offset": 0}
    thumb = {"type": "upvote", "model": "m", "state": seen, "tstamp": 2, "ip": "1"}
    (tmp_path / "log").write_text(f"{json.dumps(row)}\n{json.dumps(thumb)}\n")
    importer = Importer(store.database, lambda models, answer: False)
    for expected in ({"votes": 1, "thumbs": 1}, {"already": 2}):
        rows = [
            each
            for each in read_votes_of(tmp_path / "log")
            if isinstance(each, LoggedBattle | LoggedThumb)
        ]
        assert importer.store(rows) == expected
    assert LiveLeaderboard(store.database).get(Slice(source="fastchat")).votes.counted == 1
    store.close()
