"""Everything of a person, or everything old, is deleted for good."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from app.controller.retention import sweep
from app.db.forgetting import Traces
from app.db.records import AnswerSource, NewTurn, Outcome
from app.db.store import Store
from app.errors import NotFound
from app.pictures import Picture
from app.protocol import ModelInfo, RatingRequest
from app.settings import Settings

SOURCE = AnswerSource(ModelInfo(id="m"))
MINE = Picture(b"mine", "image/png", 2, 3, "ab" * 32)
OURS = Picture(b"ours", "image/png", 2, 3, "cd" * 32)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(Settings(data_dir=tmp_path))
    yield store
    store.close()


def ask(store: Store, person: str, *pictures: Picture) -> tuple[str, str]:
    """The ids of a conversation and its answer."""
    begun = store.begin_turn(NewTurn(person, f"a question of {person}", pictures), SOURCE)
    store.save_answer(begun.answer_id, Outcome("Red.", "stop"))
    store.rate(person, RatingRequest(answer_id=begun.answer_id, value="up"))
    return begun.conversation_id, begun.answer_id


def test_forgetting_leaves_what_is_others(store: Store) -> None:
    store.people.add("alice", "correct horse")
    key = store.people.new_key("alice")
    store.people.set_consent("user:alice", True)
    for _ in range(3):
        ask(store, "user:alice", MINE, OURS)
    kept, answer = ask(store, "bob", OURS)
    ask(store, "carol", MINE)
    expected = Traces(conversations=3, ratings=3, is_user=True, consent=True)
    assert store.forgetting.traces("user:alice") == expected
    assert store.forgetting.forget("user:alice") == expected
    assert not store.forgetting.traces("user:alice").any
    assert store.people.user_of(key) is None
    assert store.people.consent("user:alice").asked is False
    assert store.image("cd" * 32)[0] == b"ours" and store.image("ab" * 32)[0] == b"mine"
    (turn,) = store.conversation("bob", kept).turns
    assert turn.answers[0].id == answer and turn.answers[0].rating
    assert store.history.page("user:alice", "question").total == 0
    store.forgetting.forget("carol")
    with pytest.raises(NotFound):
        store.image("ab" * 32)


def test_votes_stay_without_their_voter(store: Store) -> None:
    from app.db.vote_store import voter_hash

    with store.database.writing() as session:
        salt = session.scalar(text("SELECT salt FROM arena_state"))
        session.execute(
            text(
                "INSERT INTO battles (id, person, kind, title, left_model, left_revision,"
                " left_precision, right_model, right_revision, right_precision, parameters, turns,"
                " prompt_hash, language, question_kind, source, created_at) VALUES"
                " ('b', 'dan', 'blind', 't', 'l', '', '', 'r', '', '', '{}', 1, '', '', '',"
                " 'x', '')"
            )
        )
        session.execute(
            text(
                "INSERT INTO votes (id, number, battle_id, voter, voter_kind, choice, reason, turn,"
                " replaced, created_at)"
                " VALUES ('v', 1, 'b', :voter, 'person', 'left', 'my reason', 1, false, '')"
            ),
            {"voter": voter_hash(str(salt), "dan")},
        )
    assert store.forgetting.forget("dan") == Traces(votes=1, battles=1)
    with store.database.reading() as session:
        row = session.execute(text("SELECT choice, reason, voter FROM votes")).one()
        assert row.choice == "left" and row.reason is None
        assert row.voter != voter_hash(str(salt), "dan")
        assert session.scalar(text("SELECT person FROM battles")) == "forgotten"
    assert not store.forgetting.traces("dan").any


def test_old_conversations_are_deleted_and_the_log_says_so(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    old, _ = ask(store, "p", MINE)
    new, _ = ask(store, "p", OURS)
    then = (datetime.now(UTC) - timedelta(days=31)).isoformat(timespec="microseconds")
    with store.database.writing() as session:
        where = {"then": then, "old": old}
        session.execute(text("UPDATE conversations SET updated_at = :then WHERE id = :old"), where)
    asyncio.run(sweep(store, 0))
    assert store.history.page("p").total == 2
    with caplog.at_level(logging.INFO):
        asyncio.run(sweep(store, 30))
    assert "deleted 1 conversations that were not used for 30 days" in caplog.text
    assert [entry.id for entry in store.history.page("p").conversations] == [new]


def test_a_sweep_that_fails_is_told_and_tried_again(
    store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.forgetting, "delete_unused", full)
    asyncio.run(sweep(store, 30))
    assert "No space left" in caplog.text and "next try" in caplog.text


def test_interrupted_deletions_are_finished(store: Store, tmp_path: Path) -> None:
    ask(store, "p", MINE)
    folder = tmp_path / "images"
    path = folder / "ab" / f"{'ab' * 32}.png"
    path.rename(path.with_name(f".{path.name}.deleted"))  # its row was not deleted any more
    (folder / "ef").mkdir()
    lost = folder / "ef" / f".{'ef' * 32}.png.deleted"  # its row was
    lost.write_bytes(b"x")
    store.forgetting.tidy()
    assert store.image("ab" * 32)[0] == b"mine" and not lost.exists()
