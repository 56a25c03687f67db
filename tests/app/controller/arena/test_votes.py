"""Votes: one for each person and battle, whatever happens between the press and the row."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from app.db.session import BUSY_SECONDS
from app.settings import Settings
from app.ui.client import QUICK
from app.worker.api import create_app as create_worker
from tests.app.controller.arena.conftest import Ring, model, text_of
from tests.app.controller.conftest import SECRET, Desk, code
from tests.servers import running


def rows(ring: Ring, columns: str = "choice, replaced") -> list[tuple[Any, ...]]:
    """The votes in the database, in order."""
    database = sqlite3.connect(ring.desk.settings.data_dir / "studio.db")
    found = list(database.execute(f"SELECT {columns} FROM votes ORDER BY number"))
    database.close()
    return found


@pytest.fixture
def battle_id(ring: Ring) -> str:
    """A battle of Ann's that has ended."""
    return str(ring.battle()[0]["battle_id"])


def test_the_same_vote_clicked_twice_is_one_vote(ring: Ring, battle_id: str) -> None:
    first, again = (ring.vote(battle_id, "left", key="one").json() for _ in range(2))
    assert first == again
    assert rows(ring) == [("left", 0)]


def test_another_choice_changes_the_vote_and_keeps_the_former_one(
    ring: Ring, battle_id: str
) -> None:
    ring.vote(battle_id, "left", key="one")
    changed = ring.vote(battle_id, "right", key="two", reason="better").json()["vote"]
    assert (changed["choice"], changed["changes"]) == ("right", 1)
    assert rows(ring, "choice, replaced, replaces") == [("left", 1, None), ("right", 0, 1)]


def test_an_old_request_that_comes_again_does_not_undo_a_change(ring: Ring, battle_id: str) -> None:
    ring.vote(battle_id, "left", key="one")
    ring.vote(battle_id, "right", key="two")
    assert ring.vote(battle_id, "left", key="one").json()["vote"]["choice"] == "right"
    assert len(rows(ring)) == 2


def test_votes_from_two_tabs_at_the_same_moment_are_one(ring: Ring, battle_id: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: ring.vote(battle_id, "tie"), range(8)))
    assert {reply.status_code for reply in replies} == {200}
    assert rows(ring) == [("tie", 0)]


def test_different_votes_at_the_same_moment_leave_one_that_stands(
    ring: Ring, battle_id: str
) -> None:
    choices = ("left", "right", "tie", "both_bad") * 2
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda choice: ring.vote(battle_id, choice), choices))
    assert {reply.status_code for reply in replies} == {200}
    standing = [choice for choice, replaced in rows(ring) if not replaced]
    assert standing == [ring.get(f"/api/battles/{battle_id}")["vote"]["choice"]]


def test_the_same_vote_with_a_restart_in_between(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, secret=SECRET)
    backends = [model("alpha-one"), model("beta-two")]
    with ExitStack() as workers:
        url = workers.enter_context(running(create_worker(settings, backends)))
        with ExitStack() as stack:
            desk = Desk(settings, stack)
            for backend in backends:
                desk.register(url, backend)
            ring = Ring(desk)
            battle_id = ring.battle()[0]["battle_id"]
            first = ring.vote(battle_id, "left", key="one").json()
        with ExitStack() as stack:
            ring = Ring(Desk(settings, stack))
            assert ring.vote(battle_id, "left", key="one").json() == first
            assert ring.vote(battle_id, "right").json()["vote"]["changes"] == 1
            assert len(rows(ring)) == 2


def test_a_vote_on_somebody_elses_battle(ring: Ring, battle_id: str) -> None:
    stranger = Ring(ring.desk, "bob")
    assert code(stranger.vote(battle_id)) == (404, "not_found")
    assert (
        stranger.desk.client.get(f"/api/battles/{battle_id}", headers=stranger.headers).status_code
        == 404
    )
    assert rows(ring) == []


def test_a_vote_before_both_answers_have_ended(desk: Desk) -> None:
    gate = threading.Semaphore(0)
    desk.add_worker(model("alpha-one"))
    desk.add_worker(model("beta-two", gate=gate))
    ring = Ring(desk)
    with ThreadPoolExecutor() as pool:
        fight = pool.submit(ring.battle)
        while not (battles := ring.get("/api/battles")):
            time.sleep(0.02)
        early = ring.vote(battles[0]["id"])
        assert code(early) == (409, "battle_running")
        assert not ring.get(f"/api/battles/{battles[0]['id']}")["can_vote"]
        gate.release(3)
        assert fight.result()[-1]["counts"]
    assert ring.vote(battles[0]["id"]).status_code == 200


def test_after_the_next_turn_the_vote_stays_as_it_is(ring: Ring, battle_id: str) -> None:
    ring.vote(battle_id, "left")
    ring.turn(battle_id)
    assert code(ring.vote(battle_id, "right")) == (409, "vote_closed")
    assert ring.vote(battle_id, "left").status_code == 200, "the same vote again is no change"
    assert rows(ring) == [("left", 0)]
    seen = ring.get(f"/api/battles/{battle_id}")
    assert not seen["can_vote"] and len(seen["turns"]) == 2


def test_a_model_removed_in_the_middle_of_a_battle(desk: Desk) -> None:
    desk.add_worker(model("alpha-one"))
    leaving = desk.add_worker(model("beta-two"))
    ring = Ring(desk)
    battle_id = ring.battle()[0]["battle_id"]
    desk.app.state.registry.leave(leaving)
    events = ring.turn(battle_id)
    failed = [e for e in events if e["type"] == "ended" and e["finish_reason"] == "error"]
    assert len(failed) == 1 and "not being served any more" in failed[0]["error"]["message"]
    other = "left" if failed[0]["side"] == "right" else "right"
    assert text_of(events, other) == "A red circle."
    assert events[-1]["counts"] is False and "not counted" in events[-1]["why_not"]
    vote = ring.vote(battle_id).json()["vote"]
    assert (vote["counted"], vote["not_counted"]) == (False, "side_failed")
    assert ring.get("/api/leaderboard")["votes"]["not_counted"] == {"side_failed": 1}


def test_votes_beyond_the_cap_are_kept_and_not_counted(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, secret=SECRET, votes_per_day=2)
    with ExitStack() as stack:
        desk = Desk(settings, stack)
        desk.add_worker(model("alpha-one"))
        desk.add_worker(model("beta-two"))
        ring = Ring(desk)
        votes = [ring.vote(ring.battle()[0]["battle_id"]).json()["vote"] for _ in range(3)]
        assert [vote["not_counted"] for vote in votes] == [None, None, "voter_cap"]
        other = Ring(desk, "bob")
        assert other.vote(other.battle()[0]["battle_id"]).json()["vote"]["counted"]
        found = ring.get("/api/leaderboard")
        assert found["votes"]["counted"] == 3 and found["votes"]["all"] == 4


def test_the_leaderboard_follows_every_vote(ring: Ring, battle_id: str) -> None:
    assert ring.get("/api/leaderboard")["standings"] == []
    names = ring.vote(battle_id, "left").json()["models"]
    first = ring.get("/api/leaderboard")["standings"]
    assert [(row["name"], row["wins"]) for row in first] == [
        (names["left"]["model"], 1),
        (names["right"]["model"], 0),
    ]
    ring.vote(battle_id, "right")
    second = ring.get("/api/leaderboard")
    assert second["votes"]["all"] == 1
    assert second["standings"][0]["name"] == names["right"]["model"]
    assert code(ring.desk.client.get("/api/leaderboard?kind=odd")) == (400, "bad_request")


def test_names_with_html_in_them_stay_text(desk: Desk) -> None:
    odd = "<b>&lt;script>alert(1)</script>"
    desk.add_worker(model(odd))
    desk.add_worker(model("beta-two"))
    ring = Ring(desk)
    models = ring.vote(ring.battle()[0]["battle_id"]).json()["models"]
    assert odd in {models["left"]["model"], models["right"]["model"]}
    board = desk.client.get("/api/leaderboard")
    assert odd in board.json()["wins"]["names"]
    assert board.headers["content-type"] == "application/json"


def test_voters_are_salted_hashes(ring: Ring, battle_id: str) -> None:
    ring.vote(battle_id)
    (voter,) = rows(ring, "voter")[0]
    assert len(voter) == 32 and "ann" not in voter


# --- a database that cannot take it now -----------------------------------------------------------


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Ring]:
    """An arena whose controller waits for a lock for a fifth of a second only."""
    with ExitStack() as stack:
        settings = Settings(data_dir=tmp_path, secret=SECRET)
        desk = Desk(settings, stack, busy_seconds=0.2)
        desk.add_worker(model("alpha-one"))
        desk.add_worker(model("beta-two"))
        yield Ring(desk)


def test_a_locked_database_says_that_the_vote_was_not_stored(impatient: Ring) -> None:
    battle_id = impatient.battle()[0]["battle_id"]
    with impatient.desk.locked():
        reply = impatient.vote(battle_id)
        assert code(reply) == (503, "database_busy")
        assert reply.json()["error"]["message"].startswith("Your vote was not stored.")
        assert "again" in reply.json()["error"]["remedy"]
    assert impatient.vote(battle_id).status_code == 200
    assert rows(impatient) == [("left", 0)]


def test_a_vote_outlasts_a_lock_of_ten_seconds(ring: Ring, battle_id: str) -> None:
    """A backup or another program holds the lock: the vote waits, and is stored."""
    with ThreadPoolExecutor(2) as pool:
        with ring.desk.locked():
            begun = time.monotonic()
            votes = [pool.submit(ring.vote, battle_id, "tie") for _ in range(2)]
            time.sleep(10.2)
            assert not any(vote.done() for vote in votes)
            # Whoever only reads does not wait.
            assert ring.get(f"/api/battles/{battle_id}")["vote"] is None
        assert {vote.result().status_code for vote in votes} == {200}
    assert time.monotonic() - begun < 25
    assert rows(ring) == [("tie", 0)]


def test_the_page_waits_longer_than_the_database() -> None:
    assert QUICK.read is not None and QUICK.read > BUSY_SECONDS > 10


def test_a_full_disk_says_that_the_vote_was_not_stored(ring: Ring) -> None:
    battles = [ring.battle()[0]["battle_id"] for _ in range(4)]
    engine = ring.desk.app.state.store.database.engine
    engine.dispose()
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    engine.dispose()

    def full(connection: Any, record: Any) -> None:
        connection.execute(f"PRAGMA max_page_count={pages}")

    event.listen(engine, "connect", full)
    long = "because " * 240
    replies = [ring.vote(battle, "left", reason=long) for battle in battles]
    refused = [n for n, reply in enumerate(replies) if reply.status_code != 200]
    assert refused and len(rows(ring)) == len(battles) - len(refused)
    error = replies[refused[0]].json()["error"]
    assert error["code"] == "storage_failed" and "not stored" in error["message"]
    event.remove(engine, "connect", full)
    engine.dispose()
    assert all(ring.vote(battle, "left", reason=long).is_success for battle in battles)
    assert len(rows(ring)) == len(battles)
