"""Votes cast through the API by many people at once: none lost, none doubled.

``python benchmarks/votes.py`` stores 10,000 battles, starts a controller of its own, and lets 50
people vote over HTTP on loopback, all at once, each on their own battles; every tenth vote is sent
twice at the same moment, as from two tabs, and every tenth is changed. Then it reads the database
and the leaderboard and compares every vote with what was sent. It ends with status 1 where one is
missing, doubled or different.
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

CHOICES = ("left", "right", "tie", "both_bad")


def fill(folder: Path, battles: int, voters: int) -> dict[str, list[str]]:
    """Battles that nobody has voted on; returns each voter's."""
    from app.db.store import Store
    from app.settings import Settings
    from benchmarks.queries import insert, rows_of

    store = Store.open(Settings(data_dir=folder))
    path = str(store.database.engine.url.database)
    store.close()
    chance = random.Random(0)
    rows = [
        (table, values | ({"person": f"voter{n % voters}"} if "person" in values else {}))
        for n in range(battles)
        for table, values in rows_of(n, chance, str)
        if table not in ("votes", "ratings", "question_images")
    ]
    with sqlite3.connect(path) as database:
        insert(database, rows)
        # Until the vote, the conversations belong to the battle.
        for side in ("left", "right"):
            database.execute(
                f"UPDATE conversations SET person = 'battle:' || b.id FROM battles b"
                f" WHERE b.{side}_conversation_id = conversations.id"
            )
        found: dict[str, list[str]] = {}
        for battle, person in database.execute("SELECT id, person FROM battles ORDER BY id"):
            found.setdefault(person, []).append(battle)
    return found


@contextmanager
def controller(folder: Path) -> Iterator[str]:
    """A controller in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    flags = ("--data-dir", str(folder), "--controller-port", str(port), "--votes-per-day", "100000")
    environment = os.environ | {"LLAVA_STUDIO_SECRET": "benchmark"}
    command = [sys.executable, str(ROOT / "app.py"), "controller", *flags]
    process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                httpx.get(f"{url}/health", trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


@dataclass
class Ballots:
    """What one voter has sent: battle -> choice, and the seconds that each reply took."""

    sent: dict[str, str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    changed: int = 0


def vote(url: str, person: str, battles: list[str]) -> Ballots:
    """All votes of one person, one after the other; some twice at once, some changed."""
    ballots, chance = Ballots(), random.Random(person)
    headers = {"X-Person-Id": person}
    with (
        httpx.Client(
            base_url=url, headers=headers, trust_env=False, timeout=120, verify=False
        ) as client,
        ThreadPoolExecutor(2) as tabs,
    ):

        def send(battle: str, choice: str, key: str) -> None:
            begun = time.perf_counter()
            body = {"choice": choice, "key": key}
            client.post(f"/api/battles/{battle}/vote", json=body).raise_for_status()
            ballots.seconds.append(time.perf_counter() - begun)

        for number, battle in enumerate(battles):
            choice = chance.choice(CHOICES)
            twice = 2 if number % 10 == 0 else 1
            list(tabs.map(lambda _, b=battle, c=choice: send(b, c, "first"), range(twice)))
            if number % 10 == 5:
                choice = CHOICES[(CHOICES.index(choice) + 1) % len(CHOICES)]
                send(battle, choice, "second")
                ballots.changed += 1
            ballots.sent[battle] = choice
    return ballots


def problems(folder: Path, url: str, everybody: list[Ballots]) -> list[str]:
    """What is not as it was sent."""
    sent = {battle: choice for each in everybody for battle, choice in each.sent.items()}
    changed = sum(each.changed for each in everybody)
    with sqlite3.connect(folder / "studio.db") as database:
        rows = database.execute(
            "SELECT number, battle_id, choice, replaced FROM votes ORDER BY number"
        ).fetchall()
    standing = [(battle, choice) for _, battle, choice, replaced in rows if not replaced]
    found = dict(standing)
    board = httpx.get(f"{url}/api/leaderboard", trust_env=False, timeout=120).json()
    checks = {
        "votes lost": len(sent.keys() - found.keys()),
        "votes doubled": len(standing) - len(found),
        "votes with another choice": sum(found.get(b) != c for b, c in sent.items()),
        "changes lost or doubled": abs(len(rows) - len(sent) - changed),
        "gaps in the numbers": sum(number != n for n, (number, *_) in enumerate(rows, 1)),
        "votes missing on the leaderboard": len(sent) - board["votes"]["all"],
    }
    for name, number in checks.items():
        print(f"  {name:<36}{number:>8}")
    return [name for name, number in checks.items() if number]


def main() -> int:
    """Fill, vote, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--votes", type=int, default=10_000)
    parser.add_argument("--voters", type=int, default=50)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        battles = fill(folder, given.votes, given.voters)
        with controller(folder) as url, ThreadPoolExecutor(given.voters) as people:
            begun = time.perf_counter()
            everybody = list(people.map(lambda p: vote(url, p, battles[p]), battles))
            taken = time.perf_counter() - begun
            times = sorted(s * 1000 for each in everybody for s in each.seconds)
            print(
                f"{given.votes:,} battles, {given.voters} voters at once, {len(times):,} requests"
            )
            print(f"  {len(times) / taken:.0f} requests a second, {taken:.0f} s in all")
            middle, late = statistics.median(times), times[int(len(times) * 0.99)]
            print(f"  milliseconds: median {middle:.0f}, 99th percentile {late:.0f}")
            return 1 if problems(folder, url, everybody) else 0


if __name__ == "__main__":
    sys.exit(main())
