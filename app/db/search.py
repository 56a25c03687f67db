"""Full-text search over titles, questions and answers.

On SQLite an FTS5 index of trigrams finds words, parts of words and text without spaces between
words (Chinese, say); triggers keep it in step with the tables, whoever writes them. It is derived:
:func:`ensure_index` makes it anew where it is missing or of another version. Terms of one or two
characters have no trigram; for them, for words that more texts have than the person has texts, and
on PostgreSQL, the person's own texts are looked through.
https://www.sqlite.org/fts5.html#the_trigram_tokenizer
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Select, bindparam, func, select, text, union_all
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.db.models import Answer, Conversation, Question
from app.errors import BadRequest

LONGEST_QUERY = 200
MOST_TERMS = 8
TRIGRAM = 3
TEXTS_EACH = 8
"""Texts that a conversation has, about: title, questions, answers."""
FEWEST_HITS = 500
"""So many hits are always looked up."""


def _entry(source: str, conversation: str, words: str) -> str:
    """Statements that put a new text into the index."""
    return (
        "INSERT INTO search_entries (source_id, conversation_id)"
        f" VALUES ({source}, {conversation});"
        f" INSERT INTO search_index (rowid, text) SELECT number, {words} FROM search_entries"
        f" WHERE source_id = {source};"
    )


_FORGET = (
    "DELETE FROM search_index WHERE rowid ="
    " (SELECT number FROM search_entries WHERE source_id = old.id);"
    " DELETE FROM search_entries WHERE source_id = old.id;"
)
_OF_ANSWER = "(SELECT conversation_id FROM questions WHERE id = new.question_id)"
_NEW_ANSWER = _entry("new.id", _OF_ANSWER, "new.text")
_NEW_TITLE = (
    "UPDATE search_index SET text = new.title WHERE rowid ="
    " (SELECT number FROM search_entries WHERE source_id = new.id);"
)


def _trigger(name: str, event: str, statements: str) -> str:
    return f"CREATE TRIGGER {name} AFTER {event} BEGIN {statements} END"


TABLES = {
    "search_entries": "CREATE TABLE search_entries (number INTEGER PRIMARY KEY,"
    " source_id TEXT NOT NULL UNIQUE, conversation_id TEXT NOT NULL)",
    "search_index": "CREATE VIRTUAL TABLE search_index USING fts5(text, tokenize='trigram')",
}
_TRIGGERS = (
    (
        "search_new_title",
        "INSERT ON conversations",
        _entry("new.id", "new.id", "new.title"),
    ),
    ("search_other_title", "UPDATE OF title ON conversations", _NEW_TITLE),
    ("search_no_title", "DELETE ON conversations", _FORGET),
    (
        "search_new_question",
        "INSERT ON questions",
        _entry("new.id", "new.conversation_id", "new.text"),
    ),
    ("search_no_question", "DELETE ON questions", _FORGET),
    # An answer is searched for when it has ended: while it grows, it is saved every second.
    (
        "search_whole_answer",
        "INSERT ON answers WHEN new.finish_reason IS NOT NULL",
        _NEW_ANSWER,
    ),
    (
        "search_ended_answer",
        "UPDATE OF finish_reason ON answers"
        " WHEN new.finish_reason IS NOT NULL AND old.finish_reason IS NULL",
        _NEW_ANSWER,
    ),
    ("search_no_answer", "DELETE ON answers", _FORGET),
)
TRIGGERS = {name: _trigger(name, event, body) for name, event, body in _TRIGGERS}
_FILL = (
    "INSERT INTO search_entries (source_id, conversation_id) SELECT id, id FROM conversations",
    "INSERT INTO search_entries (source_id, conversation_id)"
    " SELECT id, conversation_id FROM questions",
    "INSERT INTO search_entries (source_id, conversation_id)"
    " SELECT a.id, q.conversation_id FROM answers a JOIN questions q ON q.id = a.question_id"
    " WHERE a.finish_reason IS NOT NULL",
    "INSERT INTO search_index (rowid, text) SELECT e.number, t.text FROM search_entries e JOIN"
    " (SELECT id, title AS text FROM conversations UNION ALL SELECT id, text FROM questions"
    " UNION ALL SELECT id, text FROM answers) t ON t.id = e.source_id",
)


def ensure_index(connection: Connection) -> bool:
    """Make SQLite's index unless it is there, of this version; returns whether it is there.

    It cannot be made where Python's SQLite is older than 3.34 or built without FTS5.
    """
    wanted = TABLES | TRIGGERS
    rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE name LIKE 'search%'"))
    there = {name: sql for name, sql in rows if name in wanted}
    if there == wanted:
        return True
    drop_triggers(connection)
    for table in reversed(TABLES):
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {table}")
    try:
        connection.exec_driver_sql(TABLES["search_index"])
    except OperationalError as error:
        if "no such" not in str(error.orig):
            raise
        return False
    for statement in (TABLES["search_entries"], *_FILL, *TRIGGERS.values()):
        connection.exec_driver_sql(statement)
    return True


def drop_triggers(connection: Connection) -> None:
    """Before tables are altered: SQLite refuses to while triggers name a table being replaced."""
    for name in TRIGGERS:
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")


def drop_index(connection: Connection) -> None:
    """Drop the index whole."""
    drop_triggers(connection)
    for name in TABLES:
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")


def terms_of(query: str) -> list[str]:
    """The words that are looked for, all of which must be found.

    Raises :class:`BadRequest` where the query is too long.
    """
    terms = query.replace("\0", " ").split()
    if len(query) > LONGEST_QUERY or len(terms) > MOST_TERMS:
        raise BadRequest(
            f"The search has {len(terms)} words and {len(query)} characters; at most {MOST_TERMS} "
            f"words and {LONGEST_QUERY} characters are looked for.",
            "Search for fewer words.",
        )
    return terms


def found_in(session: Session, person: str, terms: Sequence[str]) -> list[Select[str]]:
    """For each term, the ids of the person's conversations that have it somewhere."""
    long = any(len(term) >= TRIGRAM for term in terms)
    indexed = long and session.get_bind().dialect.name == "sqlite" and _has_index(session)
    most = _texts_of(session, person) if indexed else 0
    return [
        _by_index(person, term)
        if indexed and len(term) >= TRIGRAM and _is_rare(session, term, most)
        else _by_scan(person, term)
        for term in terms
    ]


def _texts_of(session: Session, person: str) -> int:
    """About how many texts the person has: what looking through them would cost."""
    mine = select(func.count()).where(Conversation.person == person)
    return FEWEST_HITS + TEXTS_EACH * (session.scalar(mine) or 0)


def _is_rare(session: Session, term: str, most: int) -> bool:
    """Whether the index has the term no more than ``most`` times, of all people's texts together.

    A word that half of all texts have would be looked up in a whole database of others' texts.
    """
    counted = text(
        "SELECT count(*) FROM (SELECT 1 FROM search_index WHERE text MATCH :phrase LIMIT :most)"
    )
    return (session.scalar(counted, {"phrase": _phrase(term), "most": most}) or 0) < most


def _has_index(session: Session) -> bool:
    query = text("SELECT count(*) FROM sqlite_master WHERE name = 'search_index'")
    return bool(session.scalar(query))


def _phrase(term: str) -> str:
    """The term as FTS5 takes it literally."""
    return '"' + term.replace('"', '""') + '"'


def _by_index(person: str, term: str) -> Select[str]:
    matching = text(
        "SELECT e.conversation_id FROM search_index i JOIN search_entries e ON e.number = i.rowid"
        " WHERE i.text MATCH :phrase"
    ).bindparams(bindparam("phrase", _phrase(term), unique=True))
    found = matching.columns(Conversation.id.label("conversation_id")).subquery()
    return select(found.c.conversation_id)


def _by_scan(person: str, term: str) -> Select[str]:
    mine = Conversation.person == person
    titles = select(Conversation.id).where(
        mine, Conversation.title.icontains(term, autoescape=True)
    )
    questions = (
        select(Question.conversation_id)
        .join(Conversation, Conversation.id == Question.conversation_id)
        .where(mine, Question.text.icontains(term, autoescape=True))
    )
    answers = (
        select(Question.conversation_id)
        .join(Conversation, Conversation.id == Question.conversation_id)
        .join(Answer, Answer.question_id == Question.id)
        .where(mine, Answer.text.icontains(term, autoescape=True))
    )
    found = union_all(titles, questions, answers).subquery()
    return select(found.c[0])
