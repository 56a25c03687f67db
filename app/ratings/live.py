"""The leaderboard of the database as it is now: only new votes are read."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

from app.db.database import Database
from app.db.vote_rows import read_vote_tuples
from app.errors import StudioError
from app.leaderboard_protocol import Leaderboard, Slice
from app.ratings.columns import Votes
from app.ratings.records import VoteRecord

log = logging.getLogger(__name__)
CHUNK = 20_000
FRESH = 200
"""Pairs are counted anew when there are a 200th more votes than when they were counted."""
MOST_CACHED = 64


class LiveLeaderboard:
    """Blocks; may be asked from several threads at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._votes = Votes()
        self._lock = threading.Lock()
        self._cache: dict[Slice, Leaderboard] = {}
        self._pairs: dict[tuple[str, str], tuple[float, int]] = {}
        self._pairs_of = 0
        self._stopping = False

    def warm(self) -> None:
        """Read all votes, so that the first page need not wait for them; :meth:`stop` ends it."""
        try:
            with self._lock:
                self._refresh()
        except StudioError as error:
            log.warning("the votes could not be read yet: %s", error)

    def stop(self) -> None:
        """The program ends: what is being read is left."""
        self._stopping = True

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
            if self._votes.last * FRESH > self._pairs_of * (FRESH + 1):
                self._pairs, self._pairs_of = pair_scores(self._votes), self._votes.last
            return self._pairs

    def _refresh(self) -> None:
        before = self._votes.last
        self._votes.extend(records_after(self._database, before, lambda: self._stopping))
        if self._votes.last != before:
            self._cache.clear()


def records_after(
    database: Database, number: int, stopping: Callable[[], bool] = lambda: False
) -> Iterator[VoteRecord]:
    """All votes with a higher number, in order, a chunk for each transaction."""
    while not stopping():
        rows = read_vote_tuples(database, number, CHUNK)
        yield from map(VoteRecord._make, rows)
        if len(rows) < CHUNK:
            return
        number = rows[-1][0]
