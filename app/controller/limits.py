"""How much one person may ask for, and how often somebody may try a password. In memory alone."""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Callable

from app.access import PersonLimits
from app.errors import TooMany

MINUTE = 60.0


class Window:
    """At most ``most`` events of one key within ``seconds``. ``clock``: seconds that only grow."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float]) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._events: dict[str, deque[float]] = {}

    def wait(self, key: str) -> float:
        """Seconds until one more is allowed; 0 where it is allowed now."""
        self._forget()
        events = self._events.get(key)
        if events is None or len(events) < self._most:
            return 0.0
        return events[0] + self._seconds - self._clock()

    def add(self, key: str) -> None:
        """One more has happened."""
        self._events.setdefault(key, deque()).append(self._clock())

    def clear(self, key: str) -> None:
        """Nothing has happened."""
        self._events.pop(key, None)

    def _forget(self) -> None:
        past = self._clock() - self._seconds
        for key, events in list(self._events.items()):
            while events and events[0] <= past:
                events.popleft()
            if not events:
                del self._events[key]


class AskingLimits:
    """Questions of one person: so many in a minute, so many in work at once; 0 is no limit."""

    def __init__(self, limits: PersonLimits, clock: Callable[[], float]) -> None:
        self._per_minute, self._at_once = limits.questions_per_minute, limits.answers_at_once
        self._window = Window(self._per_minute, MINUTE, clock)
        self._running: Counter[str] = Counter()

    def begin(self, person: str) -> None:
        """A question is asked; raises :class:`TooMany`. Call :meth:`end` when it is answered."""
        if self._at_once and self._running[person] >= self._at_once:
            raise TooMany(
                f"{self._running[person]} of your answers are being written at this moment; more "
                "are not allowed at once.",
                "Wait until one of them has ended, or stop it.",
                retry_after=2.0,
            )
        wait = self._window.wait(person) if self._per_minute else 0.0
        if wait > 0:
            raise TooMany(
                f"You have asked {self._per_minute} questions within a minute, which is the limit.",
                f"Ask again in {math.ceil(wait)} seconds.",
                retry_after=wait,
            )
        if self._per_minute:
            self._window.add(person)
        self._running[person] += 1

    def end(self, person: str) -> None:
        """An answer has ended, however it did."""
        self._running[person] -= 1
        if self._running[person] <= 0:
            del self._running[person]


FAILURES_SECONDS = 300.0
FAILURES_OF_NAME_FROM_ADDRESS = 5
FAILURES_FROM_ADDRESS = 20
FAILURES_OF_NAME = 50


class LoginLimits:
    """Wrong passwords: few for one name from one address, and more for either alone.

    So somebody who guesses is slowed down, and cannot keep the real person out from elsewhere.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._windows = {
            "both": Window(FAILURES_OF_NAME_FROM_ADDRESS, FAILURES_SECONDS, clock),
            "address": Window(FAILURES_FROM_ADDRESS, FAILURES_SECONDS, clock),
            "name": Window(FAILURES_OF_NAME, FAILURES_SECONDS, clock),
        }
        self._lock = threading.Lock()

    def begin(self, name: str, address: str) -> None:
        """An attempt, counted as a failure until :meth:`succeeded`; raises :class:`TooMany`.

        It is counted before the password is checked, so that many attempts at once are too many.
        """
        with self._lock:
            keys = self._keys(name, address)
            wait = max(self._windows[kind].wait(key) for kind, key in keys.items())
            if wait > 0:
                raise TooMany(
                    "There were too many wrong passwords.",
                    f"Try again in {math.ceil(wait / 60)} min.",
                    retry_after=wait,
                )
            for kind, key in keys.items():
                self._windows[kind].add(key)

    def succeeded(self, name: str, address: str) -> None:
        """The password was right: this name's failures from this address are forgotten."""
        with self._lock:
            self._windows["both"].clear(self._keys(name, address)["both"])

    def _keys(self, name: str, address: str) -> dict[str, str]:
        return {"both": f"{name}\n{address}", "address": address, "name": name}
