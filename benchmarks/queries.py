"""What the pages ask of a database with a million answers and votes: SQLite, medians.

``python benchmarks/queries.py`` makes the rows (500,000 battles of two answers, on each a person's
and a judge's vote; minutes, and about 3 GB in a temporary folder, or in ``--folder``, which is kept
and used again), starts the controller on them, and asks every route that a page asks, over HTTP on
loopback, as different people in turns. It prints the median and the slowest in milliseconds, and
the median of the slowest statement of each. The aim is 50 ms for each at the median.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

PEOPLE, PICTURES, MODELS, OFTEN = 20_000, 1000, 20, 1000
"""``OFTEN``: battles of the person who comes most often; the others have about 25."""
WORDS = ("red", "blue", "green", "star", "heart", "house", "tree", "car", "sun", "cat", "fish")
TABLES = (
    "conversations", "questions", "question_images", "answers", "battles", "battle_answers",
    "votes", "ratings",
)  # fmt: skip
Rows = Iterator[tuple[str, dict[str, Any]]]


def person_of(number: int) -> str:
    return "often" if number < OFTEN else f"p{number % PEOPLE}"


def rows_of(number: int, chance: random.Random, voter: Callable[[str], str]) -> Rows:
    """All rows of one battle, as (table, values)."""

    def new(prefix: str) -> str:
        return f"{prefix}_{chance.getrandbits(100):022x}"

    person, battle = person_of(number), new("bat")
    at = f"2026-{1 + number % 12:02d}-{1 + number % 28:02d}T{number % 24:02d}:00:00.{number:06d}"
    text = " ".join(chance.choices(WORDS, k=6)) + f" n{number}?"
    left, right = chance.sample(range(MODELS), 2)
    values: dict[str, Any] = {
        "id": battle, "person": person, "kind": "blind", "title": text, "parameters": "{}",
        "turns": 1, "prompt_hash": f"{number % 50_000:064x}", "language": "en",
        "question_kind": ("what", "count", "describe")[number % 3], "source": "arena",
        "created_at": at,
    }  # fmt: skip
    answers = []
    for side, model in (("left", left), ("right", right)):
        conversation, question, answer = new("conv"), new("q"), new("ans")
        values |= {
            f"{side}_model": f"m{model}", f"{side}_revision": "r", f"{side}_precision": "4bit",
            f"{side}_conversation_id": conversation,
        }  # fmt: skip
        said = " ".join(chance.choices(WORDS, k=20))
        yield "conversations", {
            "id": conversation, "person": person, "title": text, "model": f"m{model}",
            "head_answer_id": answer, "created_at": at, "updated_at": at, "pinned": 0,
        }  # fmt: skip
        yield "questions", {
            "id": question, "conversation_id": conversation, "text": text, "created_at": at,
        }  # fmt: skip
        picture = f"{number % PICTURES:064x}"
        yield "question_images", {"question_id": question, "position": 0, "sha256": picture}
        yield "answers", {
            "id": answer, "question_id": question, "text": said, "model": f"m{model}",
            "revision": "r", "precision": "4bit", "template": "plain", "parameters": "{}",
            "finish_reason": "stop", "prompt_tokens": 9, "completion_tokens": 20, "created_at": at,
        }  # fmt: skip
        answers.append((side, answer))
    yield "battles", values
    for side, answer in answers:
        yield "battle_answers", {
            "battle_id": battle, "turn": 1, "side": side, "answer_id": answer, "names_model": 0,
        }  # fmt: skip
    for index, kind in enumerate(("person", "judge")):
        yield "votes", {
            "id": new("vote"), "number": 2 * number + index + 1, "battle_id": battle,
            "voter": voter(person) if kind == "person" else "judge", "voter_kind": kind,
            "choice": chance.choice(("left", "right", "tie")), "turn": 1, "replaced": 0,
            "created_at": at,
        }  # fmt: skip
    if number % 5 == 0:
        yield "ratings", {
            "id": new("rat"), "answer_id": answers[0][1], "person": person, "value": "up",
            "created_at": at, "updated_at": at,
        }  # fmt: skip


def insert(database: sqlite3.Connection, rows: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Insert rows of several tables; those of one table have the same columns."""
    waiting: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
    for table, values in rows:
        waiting[table].append(values)
    for table, found in waiting.items():
        if found:
            names = list(found[0])
            marks = ", ".join(f":{name}" for name in names)
            database.executemany(
                f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", found
            )


def fill(path: Path, battles: int) -> None:
    """Write the rows past the program, whose own way would take hours; then its search index."""
    from sqlalchemy import create_engine

    from app.db.search import drop_index, ensure_index
    from app.db.vote_store import voter_hash

    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        drop_index(connection)
    database = sqlite3.connect(path)
    for pragma in ("synchronous=OFF", "journal_mode=WAL", "cache_size=-2000000"):
        database.execute(f"PRAGMA {pragma}")
    (salt,) = database.execute("SELECT salt FROM arena_state").fetchone()
    chance = random.Random(0)
    images = [(f"{n:064x}", "image/png", 8, 8, 100, "2026") for n in range(PICTURES)]
    database.executemany("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?)", images)
    numbers = iter(range(battles))
    while some := list(islice(numbers, 20_000)):
        insert(
            database,
            (row for n in some for row in rows_of(n, chance, lambda p: voter_hash(salt, p))),
        )
        database.commit()
        print(f"\r{some[-1] + 1:,} battles", end="", file=sys.stderr, flush=True)
    database.execute("UPDATE arena_state SET last_vote = ?", (2 * battles,))
    database.commit()
    database.close()
    with engine.begin() as connection:
        ensure_index(connection)
    engine.dispose()
    print(file=sys.stderr)


class Statements:
    """The slowest statement since :meth:`forget`, in milliseconds, its rows fetched or not."""

    def __init__(self, engine: Any) -> None:
        from sqlalchemy import event

        self.slowest, self.text = 0.0, ""
        event.listen(engine, "before_cursor_execute", self._begin)
        event.listen(engine, "after_cursor_execute", self._end)

    def forget(self) -> None:
        self.slowest = 0.0

    def _begin(self, connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        connection.info["begun"] = time.perf_counter()

    def _end(self, connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        taken = (time.perf_counter() - connection.info["begun"]) * 1000
        if taken > self.slowest:
            self.slowest, self.text = taken, statement


def measure(client: Any, statements: Statements, repetitions: int, show: bool) -> None:
    """Every route that a page asks, as ``repetitions`` people in turns."""
    # The controller reads all votes at its start, and is slower until it has.
    begun = time.perf_counter()
    client.get("/api/leaderboard").raise_for_status()
    taken = (time.perf_counter() - begun) * 1000
    print(f"| first `GET /api/leaderboard` after a start | {taken:,.0f} | | |")
    people = ["often", *(f"p{1000 + 7 * n}" for n in range(repetitions - 1))]
    some = []
    for person in people:
        headers = {"X-Person-Id": person}
        battles = client.get("/api/battles", headers=headers).json()
        listed = client.get("/api/conversations", headers=headers).json()["conversations"]
        conversation = client.get(f"/api/conversations/{listed[0]['id']}", headers=headers).json()
        answer = conversation["turns"][0]["answers"][0]["id"]
        some.append((headers, battles[0]["id"], listed[0]["id"], answer))

    def ask(method: str, path: str, body: Callable[[Any], Any] | None = None) -> None:
        name = f"{method} {path}"
        times, slowest = [], []
        for each in some:
            headers, battle, conversation, answer = each
            filled = path.format(battle=battle, conversation=conversation, answer=answer)
            statements.forget()
            begun = time.perf_counter()
            reply = client.request(
                method, filled, headers=headers, json=body(each) if body else None
            )
            times.append((time.perf_counter() - begun) * 1000)
            assert reply.status_code < 400, f"{filled}: {reply.text[:300]}"
            slowest.append(statements.slowest)
        median = statistics.median(times)
        print(
            f"| `{name}` | {median:.1f} | {max(times):.1f} | {statistics.median(slowest):.1f} |",
            flush=True,
        )
        if show and median > 50:
            print(statements.text, file=sys.stderr)

    ask("GET", "/api/conversations")
    ask("GET", "/api/conversations?limit=200")
    ask("GET", "/api/conversations?q=star+heart+tree")
    ask("GET", "/api/conversations?q=n49999")
    ask("GET", "/api/conversations?q=su")
    ask("GET", "/api/conversations/{conversation}")
    ask("POST", "/api/ratings", lambda each: {"answer_id": each[3], "value": "down"})
    ask("GET", "/api/battles")
    ask("GET", "/api/battles/{battle}")
    ask("POST", "/api/battles/{battle}/vote", lambda _: {"choice": "both_bad"})
    ask("GET", "/api/me")
    ask("POST", "/api/battles/{battle}/vote", lambda _: {"choice": "tie"})
    begun = time.perf_counter()
    client.get("/api/leaderboard").raise_for_status()
    taken = (time.perf_counter() - begun) * 1000
    print(f"| `GET /api/leaderboard` after new votes | {taken:.0f} | | {statements.slowest:.1f} |")
    ask("GET", "/api/leaderboard")


def main() -> None:
    """Fill, ask, print."""
    import httpx

    from app.controller.api import create_app
    from app.db.store import Store
    from app.settings import Settings
    from tests.servers import running

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--battles", type=int, default=500_000)
    parser.add_argument("--repetitions", type=int, default=40, help="people who ask")
    parser.add_argument("--folder", type=Path, help="kept, and used again")
    parser.add_argument("--show", action="store_true", help="statements of what is too slow")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        settings = Settings(data_dir=folder, secret="benchmark")
        filled = folder / "filled.json"
        store = Store.open(settings)
        if not filled.exists():
            store.close()
            fill(Path(str(store.database.engine.url.database)), given.battles)
            filled.write_text(json.dumps(given.battles))
            store = Store.open(settings)
        number = json.loads(filled.read_text())
        print(f"{2 * number:,} answers, {2 * number:,} votes; milliseconds")
        print("\n| request | median | slowest | slowest statement |\n|---|---|---|---|")
        statements = Statements(store.database.engine)
        begun = time.perf_counter()
        app = create_app(settings, store=store)
        started = time.perf_counter() - begun
        with (
            running(app) as url,
            httpx.Client(base_url=url, trust_env=False, timeout=600) as client,
        ):
            measure(client, statements, given.repetitions, given.show)
        print(f"\nThe controller's start took {started:.1f} s on these tables.")


if __name__ == "__main__":
    main()
