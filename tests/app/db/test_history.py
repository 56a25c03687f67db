"""The list on the database itself, SQLite and PostgreSQL alike, and SQLite's search index."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text

from app.db.models import Conversation, Image, Question, QuestionImage
from app.db.records import AnswerSource, NewTurn, Outcome
from app.db.session import open_database
from app.db.store import Store
from app.errors import StorageFailed
from app.history import ConversationChange
from app.pictures import Picture
from app.protocol import ModelInfo, RatingRequest

SOURCE = AnswerSource(ModelInfo(id="m"))
PICTURE = Picture(b"bytes", "image/png", 2, 3, "ab" * 32)


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Store]:
    store = Store(open_database(f"sqlite:///{tmp_path / 'x.db'}", 0.2), tmp_path / "images")
    yield store
    store.close()


@contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    """The SELECT statements that run inside the block."""
    statements: list[str] = []

    def note(*told: object) -> None:
        statements.append(str(told[2]))

    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


def fill(store: Store, number: int) -> None:
    """Conversations of one question with one picture each."""
    with store.database.writing() as session:
        for index in range(number):
            name = f"{index:064x}"
            session.add(Image(sha256=name, media_type="image/png", width=1, height=1, bytes=1))
            session.add(Conversation(id=f"c{index}", person="p", title=f"about {index}", model="m"))
            session.flush()
            session.add(Question(id=f"q{index}", conversation_id=f"c{index}", text=f"it {index}"))
            session.flush()
            session.add(QuestionImage(question_id=f"q{index}", position=0, sha256=name))


def test_the_number_of_queries_does_not_grow_with_the_list(store: Store) -> None:
    fill(store, 60)
    numbers = []
    for limit in (1, 50):
        with counted(store.database.engine) as statements:
            page = store.history.page("p", limit=limit)
        assert len(page.conversations) == limit and page.total == 60
        numbers.append(len([s for s in statements if s.startswith("SELECT")]))
    assert numbers == [4, 4]
    store.close()


def test_pages_in_order_whatever_is_pinned(store: Store) -> None:
    fill(store, 7)
    store.history.change("p", "c2", ConversationChange(pinned=True, title="kept %_ 你好"))
    seen, after = [], None
    while True:
        page = store.history.page("p", after=after, limit=3)
        seen += [entry.id for entry in page.conversations]
        if (after := page.next) is None:
            break
    assert seen[0] == "c2" and sorted(seen) == [f"c{n}" for n in range(7)]
    assert [entry.turns for entry in page.conversations] == [1]
    for query, found in (("kept", 1), ("%_", 1), ("%", 1), ("ABOUT it", 6), ("你好", 1), ("c", 0)):
        assert store.history.page("p", query).total == found, query
    assert store.history.page("somebody", "about").total == 0
    store.close()


def test_branches_and_deletion(store: Store) -> None:
    first = store.begin_turn(NewTurn("p", "What?", (PICTURE,)), SOURCE)
    store.save_answer(first.answer_id, Outcome("One.", "stop"))
    other = store.begin_sibling("p", first.answer_id, SOURCE)
    store.save_answer(other.answer_id, Outcome("Two.", "stop"))
    conversation = first.conversation_id
    following = NewTurn("p", "And?", (), conversation, first.answer_id)
    end = store.begin_turn(following, SOURCE).answer_id
    assert store.history.newest_end("p", conversation, question=None, answer=first.answer_id) == end
    store.rate("p", RatingRequest(answer_id=end, value="up"))
    store.history.delete("p", conversation)
    assert store.history.page("p").total == 0
    with store.database.reading() as session:
        for table in ("answers", "questions", "question_images", "images", "ratings"):
            assert session.scalar(text(f"SELECT count(*) FROM {table}")) == 0
    store.close()


def test_a_list_is_read_by_an_index(sqlite: Store) -> None:
    with sqlite.database.reading() as session:
        query = "EXPLAIN QUERY PLAN SELECT id FROM conversations WHERE person = 'p'"
        plan = str(session.execute(text(query)).all())
    assert "ix_conversations_person_updated" in plan


def test_a_lost_search_index_is_made_anew(sqlite: Store, tmp_path: Path) -> None:
    begun = sqlite.begin_turn(NewTurn("p", "Where is the heart?"), SOURCE)
    sqlite.save_answer(begun.answer_id, Outcome("At the left.", "stop"))
    with sqlite.database.writing() as session:
        session.execute(text("DROP TRIGGER search_new_question"))
        session.execute(text("DELETE FROM search_entries"))
    assert sqlite.history.page("p", "heart").total == 0
    again = Store(open_database(f"sqlite:///{tmp_path / 'x.db'}"), tmp_path / "images")
    assert again.history.page("p", "heart left").total == 1
    again.close()


def test_without_an_index_texts_are_looked_through(sqlite: Store) -> None:
    begun = sqlite.begin_turn(NewTurn("p", "Where is the heart?"), SOURCE)
    sqlite.save_answer(begun.answer_id, Outcome("At the left.", "stop"))
    sqlite.begin_turn(NewTurn("other", "Where is the heart?"), SOURCE)
    with sqlite.database.writing() as session:
        for name in ("search_new_title", "search_new_question"):
            session.execute(text(f"DROP TRIGGER {name}"))
        session.execute(text("DROP TABLE search_index"))
    assert sqlite.history.page("p", "HEART LEFT").total == 1
    assert sqlite.history.page("p", "hea%").total == 0


def test_a_word_that_others_have_too_often_is_looked_for_among_ones_own(
    sqlite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.db.search.FEWEST_HITS", 2)
    for person in ("p", "q", "r", *"stuvwxyz"):
        begun = sqlite.begin_turn(NewTurn(person, "Where is the heart?"), SOURCE)
        sqlite.save_answer(begun.answer_id, Outcome(f"At the left of {person * 9}.", "stop"))
    with counted(sqlite.database.engine) as statements:
        assert sqlite.history.page("p", "heart ppppppppp").total == 1
    # One word by looking through, the rare one by the index.
    listing = next(s for s in statements if "LIKE" in s)
    assert "search_index i JOIN" in listing
    assert sqlite.history.page("p", "heart qqqqqqqqq").total == 0


def test_the_text_of_a_growing_answer_is_indexed_once(sqlite: Store) -> None:
    begun = sqlite.begin_turn(NewTurn("p", "What?"), SOURCE)
    for words in ("A red", "A red circle"):
        sqlite.save_answer(begun.answer_id, Outcome(words))
    assert sqlite.history.page("p", "circle").total == 0
    sqlite.save_answer(begun.answer_id, Outcome("A red circle.", "stop"))
    assert sqlite.history.page("p", "circle").total == 1


def test_a_deletion_that_fails_keeps_rows_and_files(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = store.begin_turn(NewTurn("p", "What?", (PICTURE,)), SOURCE)
    connection = store.database.engine.raw_connection()
    connection.close()

    def full(*_: object) -> None:
        raise StorageFailed("The disk is full.")

    event.listen(store.database._writing_engine, "commit", full)
    with pytest.raises(StorageFailed):
        store.history.delete("p", begun.conversation_id)
    event.remove(store.database._writing_engine, "commit", full)
    assert store.history.page("p").total == 1
    assert store.image("ab" * 32)[0] == b"bytes"
    store.history.delete("p", begun.conversation_id)
    assert [path for path in (tmp_path / "images").rglob("*") if path.is_file()] == []
    store.close()
