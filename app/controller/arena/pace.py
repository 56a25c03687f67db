"""Both sides of a battle at the pace of the slower one, so that speed does not tell.

Pure: text goes in as it comes, and what may be shown now comes out. While both sides write, each
shows as many characters as the other has, never more. When the shorter answer has ended, the rest
of the longer one comes no faster than both came until then: what a fast model has written in
advance must not appear at a stroke.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from app.battle_protocol import SIDES, Side

SLOWEST, FASTEST = 15.0, 400.0
"""Characters per second: limits of the pace at which the rest of the longer answer is shown."""


@dataclass
class _Stream:
    text: str = ""
    shown: int = 0
    ended: bool = False
    failed: bool = False

    @property
    def waiting(self) -> int:
        return len(self.text) - self.shown


@dataclass
class Pace:
    """``clock`` gives seconds that only grow."""

    clock: Callable[[], float]
    _streams: dict[Side, _Stream] = field(default_factory=lambda: {s: _Stream() for s in SIDES})
    _first: float | None = None
    _shorter_done: tuple[float, float] | None = None
    """When the shorter answer was shown in full, and the pace until then."""

    def take(self, side: Side, text: str) -> None:
        """More of a side's answer."""
        self._streams[side].text += text

    def end(self, side: Side, failed: bool = False) -> None:
        """A side has ended; after a failure there is nothing to hide any more."""
        self._streams[side].ended = True
        self._streams[side].failed = failed

    def show(self) -> list[tuple[Side, str]]:
        """What may be shown now, as (side, text)."""
        limit = self._limit()
        shown = []
        for side, stream in self._streams.items():
            upto = max(stream.shown, min(len(stream.text), limit))
            if upto > stream.shown:
                shown.append((side, stream.text[stream.shown : upto]))
                stream.shown = upto
        if shown and self._first is None:
            self._first = self.clock()
        return shown

    def over(self, side: Side) -> bool:
        """Whether the side has ended and is shown in full."""
        stream = self._streams[side]
        return stream.ended and not stream.waiting

    def holds(self) -> bool:
        """Whether text waits to be shown."""
        return any(stream.waiting for stream in self._streams.values())

    def _limit(self) -> int:
        """How many characters each side may show."""
        left, right = self._streams.values()
        if left.failed or right.failed:
            return max(len(left.text), len(right.text))
        common = min(len(left.text), len(right.text))
        shorter_ended = (left.ended and len(left.text) == common) or (
            right.ended and len(right.text) == common
        )
        if not shorter_ended:
            return common
        if self._shorter_done is None:
            self._shorter_done = (self.clock(), self._pace_until_now(common))
        since, pace = self._shorter_done
        return common + int(pace * (self.clock() - since))

    def _pace_until_now(self, characters: int) -> float:
        seconds = self.clock() - self._first if self._first is not None else 0.0
        pace = characters / seconds if seconds > 0 else FASTEST
        return min(max(pace, SLOWEST), FASTEST)
