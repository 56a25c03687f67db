"""How far a job is: replies, cost so far, time left; a bar, or a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

EVERY = 30.0
"""Seconds between two lines where there is no terminal."""
_SHORT = 90


class Board:
    """Tells of a job of ``total`` requests on ``console``; use it with ``with``.

    ``priced`` is false where no prices are known; then no cost is told.
    """

    def __init__(
        self,
        console: Console,
        what: str,
        total: int,
        priced: bool,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console, self._what, self._total, self._priced = console, what, total, priced
        self._now, self._started, self._told = now, now(), now()
        self._already = self._kept = self._failed = 0
        self._cost, self._trouble = 0.0, ""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[words]}"),
        )
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task(what, total=total, words="")

    def __enter__(self) -> Board:
        self._started = self._told = self._now()
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def already(self) -> None:
        """One more reply was there before."""
        self._already += 1
        self._show()

    def kept(self, cost: float) -> None:
        """One more reply is kept; all have cost ``cost`` so far."""
        self._kept, self._cost, self._trouble = self._kept + 1, cost, ""
        self._show()

    def failed(self, cost: float) -> None:
        """One more request has come to nothing."""
        self._failed, self._cost = self._failed + 1, cost
        self._show()

    def trouble(self, reason: str) -> None:
        """Something is asked again, for this reason."""
        self._trouble = reason
        self._show()

    def say(self, line: str) -> None:
        """A line of its own."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def words(self) -> str:
        """Cost so far, time left, failures and the last trouble, as far as there are any."""
        parts = []
        if self._priced:
            parts.append(f"cost {self._cost:.4f}")
        left = self._total - self._already - self._kept - self._failed
        if self._kept and left > 0:
            pace = (self._now() - self._started) / (self._kept + self._failed)
            parts.append(f"{duration(pace * left)} left")
        if self._failed:
            parts.append(f"{self._failed} failed")
        if self._trouble:
            parts.append(f"asking again after {self._trouble[:_SHORT]}")
        return ", ".join(parts)

    def _show(self) -> None:
        done = self._already + self._kept + self._failed
        self._bar.update(self._task, completed=done, words=self.words())
        if not self._console.is_terminal and self._now() - self._told >= EVERY:
            self._told = self._now()
            self.say(f"{self._what}: {done:,} of {self._total:,}, {self.words()}".rstrip(", "))


def duration(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
