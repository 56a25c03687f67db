"""The leaderboard of the database as it is now: only new votes are read."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from app.db.database import Database
from app.db.vote_rows import read_votes
from app.leaderboard_protocol import Leaderboard, Slice
from app.ratings.columns import Votes
from app.ratings.records import VoteRecord

CHUNK = 20_000
MOST_CACHED = 64


class LiveLeaderboard:
    """Blocks; may be asked from several threads at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._votes = Votes()
        self._lock = threading.Lock()
        self._cache: dict[Slice, Leaderboard] = {}

    def get(self, wanted: Slice) -> Leaderboard:
        """The leaderboard of a slice; computed where votes have come since it was asked for."""
        # Imported here, as below: the statistics' libraries take a second that the start can save.
        from app.ratings.leaderboard import leaderboard

        with self._lock:
            self._refresh()
            found = self._cache.get(wanted)
            if found is None:
                if len(self._cache) >= MOST_CACHED:
                    self._cache.clear()
                found = self._cache[wanted] = leaderboard(self._votes, wanted)
            return found

    def pair_scores(self) -> dict[tuple[str, str], tuple[float, int]]:
        """Score and number of votes of each pair, for drawing the next one."""
        from app.ratings.leaderboard import pair_scores

        with self._lock:
            self._refresh()
            return pair_scores(self._votes)

    def _refresh(self) -> None:
        before = self._votes.last
        self._votes.extend(records_after(self._database, before))
        if self._votes.last != before:
            self._cache.clear()


def records_after(database: Database, number: int) -> Iterator[VoteRecord]:
    """All votes with a higher number, in order, a chunk for each transaction."""
    while True:
        rows = read_votes(database, number, CHUNK)
        yield from (VoteRecord(**row) for row in rows)
        if len(rows) < CHUNK:
            return
        number = rows[-1]["number"]
