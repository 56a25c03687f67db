"""Preference pairs from the database: what ``export preferences`` writes, with its pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path

from app.db.pictures import PictureFiles
from app.db.preference_rows import (
    Preferred,
    StoredAnswer,
    preferred_by_thumbs,
    preferred_by_votes,
    stored_answer,
)
from app.db.store import Store
from app.errors import NotFound, StorageFailed
from app.pictures import Picture
from app.ratings.columns import Votes
from app.ratings.leaderboard import not_counted_reasons
from app.ratings.live import records_after
from llava_core.preferences import Message, PreferencePair, write_preferences

WHY = {
    "no consent": "of people who do not allow it",
    "marked voter": "of voters who are marked on the leaderboard",
    "other turns": "whose sides had other answers before",
    "unfinished": "with an answer that is empty or did not end by itself",
    "same text": "with the same text twice",
    "picture gone": "whose picture is gone",
    "deleted": "deleted meanwhile",
}
"""Why a preference is not written, in the words of the report."""


class PairWriter:
    """Writes all pairs of ``store``; ``left_out`` counts what was not written, by :data:`WHY`."""

    def __init__(self, store: Store, pictures: Path) -> None:
        self._store, self._folder = store, pictures
        self._consenting: Callable[[str], bool] = cache(store.people.consenting)
        self._copied: dict[tuple[str, str], str] = {}
        self.left_out: Counter[str] = Counter()
        self.written: Counter[str] = Counter()

    def write(self, path: Path) -> int:
        """Write JSON lines, whole or not at all, and the pictures; returns the number of pairs.

        Raises :class:`StorageFailed` where the files cannot be written.
        """
        try:
            return write_preferences(self._pairs(), path)
        except OSError as error:
            raise StorageFailed(
                f"{path} cannot be written: {error.strerror or error}.",
                "Make space, or choose another file with --out.",
            ) from error

    @property
    def pictures(self) -> int:
        """How many pictures the pairs have."""
        return len(self._copied)

    def _pairs(self) -> Iterator[PreferencePair]:
        marked = self._marked_votes()
        database = self._store.database
        for each in chain(preferred_by_votes(database), preferred_by_thumbs(database)):
            if not all(map(self._consenting, each.people)):
                self.left_out["no consent"] += 1
            elif each.vote in marked:
                self.left_out["marked voter"] += 1
            else:
                pair = self._pair(each)
                if pair is not None:
                    self.written[each.source] += 1
                    yield pair

    def _marked_votes(self) -> set[int]:
        """Numbers of the votes whose voters stand out."""
        votes, numbers = Votes(), []
        for record in records_after(self._store.database, 0):
            numbers.append(record.number)
            votes.extend([record])
        reasons = not_counted_reasons(votes)
        return {number for number, reason in zip(numbers, reasons, strict=True) if reason}

    def _pair(self, each: Preferred) -> PreferencePair | None:
        with self._store.database.reading() as session:
            chosen = stored_answer(session, each.chosen)
            rejected = stored_answer(session, each.rejected)
        why = _why_not(chosen, rejected)
        if why is None and chosen is not None and rejected is not None:
            try:
                context = self._context(chosen)
            except NotFound:
                why = "picture gone"
            else:
                return PreferencePair(
                    each.id, each.source, context, chosen.text, rejected.text,
                    chosen.model, rejected.model, each.created_at,
                )  # fmt: skip
        self.left_out[why or "deleted"] += 1
        return None

    def _context(self, answer: StoredAnswer) -> tuple[Message, ...]:
        messages = []
        for turn in answer.context:
            images = tuple(self._copy(*picture) for picture in turn.pictures)
            messages.append(Message("user", turn.question, images))
            if turn.answer is not None:
                messages.append(Message("assistant", turn.answer))
        return tuple(messages)

    def _copy(self, sha256: str, media_type: str) -> str:
        """The picture's path in the folder; raises :class:`NotFound` where its file is gone."""
        known = self._copied.get((sha256, media_type))
        if known is None:
            files = PictureFiles(self._folder)
            data = self._store.files.read(sha256, media_type)
            files.write(Picture(data, media_type, 0, 0, sha256))
            known = files.path(sha256, media_type).relative_to(self._folder).as_posix()
            self._copied[sha256, media_type] = known
        return known


def _why_not(chosen: StoredAnswer | None, rejected: StoredAnswer | None) -> str | None:
    """Why two answers are no pair."""
    if chosen is None or rejected is None:
        return "deleted"
    if not (chosen.finished and rejected.finished):
        return "unfinished"
    if chosen.context != rejected.context:
        return "other turns"
    return "same text" if chosen.text == rejected.text else None
