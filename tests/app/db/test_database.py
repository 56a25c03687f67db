"""Migrations, storage and the database's errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import IntegrityError

import app.db.battles
import app.db.people_models  # noqa: F401 -- their tables join those of Base
from app.controller.api import create_app
from app.db.models import Base
from app.db.records import AnswerSource, NewTurn, Outcome
from app.db.session import downgrade, open_database, upgrade
from app.db.store import Store
from app.errors import DatabaseBusy, NotFound, StorageFailed
from app.pictures import Picture
from app.protocol import ModelInfo
from app.settings import Settings

SOURCE = AnswerSource(ModelInfo(id="m", revision="r", precision="32bit", template="t"), {"seed": 1})
PICTURE = Picture(b"bytes", "image/png", 2, 3, "ab" * 32)


def test_the_migrations_make_the_tables_of_the_models(database_url: str) -> None:
    engine = open_database(database_url)
    with engine.connect() as connection:
        # The search index is no table of the models: app/db/search.py makes it.
        named = {"include_name": lambda name, kind, _: not str(name).startswith("search_")}
        context = MigrationContext.configure(connection, opts=named)
        assert compare_metadata(context, Base.metadata) == []
        if engine.dialect.name == "sqlite":
            assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
            assert connection.scalar(text("PRAGMA foreign_keys")) == 1
    engine.dispose()


OLDEST = (
    "INSERT INTO conversations VALUES ('conv_1', 'p', 'Old', 'm', 'ans_1', 'a', 'b')",
    "INSERT INTO questions VALUES ('q_1', 'conv_1', NULL, 'What?', 'a')",
    "INSERT INTO images VALUES ('sha', 'image/png', 1, 1, 1, 'a')",
    "INSERT INTO question_images VALUES ('q_1', 0, 'sha')",
    "INSERT INTO answers VALUES ('ans_1', 'q_1', 'Red.', 'm', 'r', '32bit', 't', '{}', 'stop',"
    " NULL, 1, 1, 0.1, 0.2, 'a')",
    "INSERT INTO ratings VALUES ('rat_1', 'ans_1', 'p', 'up', NULL, NULL, 'a', 'b')",
)
"""A row of every table of the first version."""


def test_rows_of_the_oldest_version_survive_the_way_up_and_down(
    database_url: str, tmp_path: Path
) -> None:
    old = create_engine(database_url)
    upgrade(old, "0001")
    with old.begin() as connection:
        for row in OLDEST:
            connection.execute(text(row))
    store = Store(open_database(database_url), tmp_path / "images")
    assert [entry.title for entry in store.history.page("p").conversations] == ["Old"]
    assert store.conversation("p", "conv_1").turns[0].answers[0].rating is not None
    store.close()
    downgrade(old, "0001")
    with old.connect() as connection:
        assert connection.scalar(text("SELECT value FROM ratings")) == "up"
        assert connection.scalar(text("SELECT text FROM answers")) == "Red."
    downgrade(old, "base")
    assert inspect(old).get_table_names() == ["alembic_version"]
    old.dispose()


def test_foreign_keys_and_unique_keys_are_enforced(store: Store) -> None:
    wrong = (
        "INSERT INTO ratings VALUES ('r', 'no such answer', 'p', 'up', NULL, NULL, 'a', 'b')",
        "INSERT INTO arena_state VALUES (1, 'another', 0)",
    )
    for row in wrong:
        with pytest.raises(IntegrityError), store.database.writing() as session:
            session.execute(text(row))
    store.close()


def test_everything_that_made_an_answer_is_a_row(store: Store) -> None:
    begun = store.begin_turn(NewTurn("p", "What?", (PICTURE,)), SOURCE)
    store.save_answer(begun.answer_id, Outcome("Red.", "stop", None, 10, 2, 0.1, 0.2))
    query = text(
        "SELECT model, revision, precision, template, CAST(parameters AS VARCHAR(100)), text, "
        "prompt_tokens, completion_tokens, first_token_seconds, total_seconds FROM answers"
    )
    with store.database.reading() as session:
        (row,) = session.execute(query).all()
    assert tuple(row) == ("m", "r", "32bit", "t", '{"seed": 1}', "Red.", 10, 2, 0.1, 0.2)
    store.close()


def test_an_answer_that_has_ended_is_never_written_again(store: Store) -> None:
    begun = store.begin_turn(NewTurn("p", "What?"), SOURCE)
    store.save_answer(begun.answer_id, Outcome("A red circle.", "stop"))
    store.save_answer(begun.answer_id, Outcome("A re"))
    answer = store.conversation("p", begun.conversation_id).turns[0].answers[0]
    assert (answer.text, answer.finish_reason) == ("A red circle.", "stop")
    store.close()


def test_a_picture_is_stored_once(store: Store, tmp_path: Path) -> None:
    first = store.begin_turn(NewTurn("p", "one", (PICTURE, PICTURE)), SOURCE)
    store.begin_turn(
        NewTurn("p", "two", (PICTURE,), first.conversation_id, first.answer_id), SOURCE
    )
    files = [path for path in (tmp_path / "images").rglob("*") if path.is_file()]
    assert [path.name for path in files] == [f"{'ab' * 32}.png"]
    assert store.image("ab" * 32) == (b"bytes", "image/png")
    store.close()


def test_unfinished_answers_of_a_crash_are_closed(store: Store) -> None:
    begun = store.begin_turn(NewTurn("p", "What?"), SOURCE)
    store.save_answer(begun.answer_id, Outcome("half an ans"))
    assert store.close_unfinished() == 1
    answer = store.conversation("p", begun.conversation_id).turns[0].answers[0]
    assert (answer.text, answer.finish_reason, answer.error) == (
        "half an ans",
        "error",
        "worker_lost",
    )
    store.close()


def test_a_locked_database_is_busy_not_broken(database_url: str, tmp_path: Path) -> None:
    store = Store(open_database(database_url, 0.2), tmp_path / "images")
    other = create_engine(database_url)
    lock = {
        "sqlite": "BEGIN IMMEDIATE",
        "postgresql": "LOCK TABLE conversations IN EXCLUSIVE MODE",
    }[other.dialect.name]
    with other.connect() as connection:
        connection.exec_driver_sql(lock)
        with pytest.raises(DatabaseBusy, match="locked"):
            store.begin_turn(NewTurn("p", "What?"), SOURCE)
    other.dispose()
    store.begin_turn(NewTurn("p", "What?"), SOURCE)
    store.close()


def test_a_data_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageFailed, match="cannot be written") as caught:
        create_app(Settings(data_dir=tmp_path / "file" / "data"))
    assert "--data-dir" in caught.value.remedy


def test_a_pictures_folder_that_cannot_be_made_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("in the way")
    with pytest.raises(StorageFailed, match="pictures' folder"):
        Store.open(Settings(data_dir=tmp_path))


def test_a_full_disk_loses_no_question(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageFailed, match="No space left"):
        store.begin_turn(NewTurn("p", "What?", (PICTURE,)), SOURCE)
    assert [path for path in (tmp_path / "images").rglob("*") if path.is_file()] == []
    assert store.history.page("p").total == 0
    store.close()


@pytest.mark.parametrize("url", ["nonsense", "nodialect://x/y"])
def test_a_wrong_database_url_says_what_to_give(url: str) -> None:
    with pytest.raises(StorageFailed, match="database URL") as caught:
        open_database(url)
    assert "SQLAlchemy URL" in caught.value.remedy


def test_an_answer_of_another_conversation_is_not_followed(store: Store) -> None:
    one = store.begin_turn(NewTurn("p", "one"), SOURCE)
    two = store.begin_turn(NewTurn("p", "two"), SOURCE)
    with pytest.raises(NotFound):
        store.path("p", one.conversation_id, two.answer_id)
    with pytest.raises(NotFound):
        store.set_head("p", one.conversation_id, two.answer_id)
    store.close()
