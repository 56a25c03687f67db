"""Limits of an endpoint: so many requests and so many tokens in any minute.

No window of 60 seconds, wherever it begins, has more than the limits allow. Tokens are reserved
before they are known, as the most that a request can take, and corrected when they are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

WINDOW = 60.0
"""Seconds."""


@dataclass
class Turn:
    """One request within the window: when it went out, and its tokens."""

    time: float
    tokens: int


class Pace:
    """When the next request may go out. 0 requests or tokens a minute: without a limit.

    ``now`` is the clock, in seconds.
    """

    def __init__(self, requests: int, tokens: int, now: Callable[[], float]) -> None:
        self._requests, self._tokens, self._now = requests, tokens, now
        self._turns: deque[Turn] = deque()
        self._paused_until = 0.0

    def take(self, tokens: int) -> Turn | float:
        """A turn that begins now, or the seconds to wait before one may be asked for again.

        A request larger than the limit of a minute has one for itself.
        """
        now = self._now()
        while self._turns and now - self._turns[0].time >= WINDOW:
            self._turns.popleft()
        wait = max(self._paused_until - now, self._wait(now, tokens))
        if wait > 0:
            return wait
        turn = Turn(now, tokens)
        self._turns.append(turn)
        return turn

    def _wait(self, now: float, tokens: int) -> float:
        """Seconds until so many turns have left the window that this one fits."""
        number, used, wait = len(self._turns), sum(turn.tokens for turn in self._turns), 0.0
        for turn in self._turns:
            if self._fits(number, used + tokens):
                break
            number, used = number - 1, used - turn.tokens
            wait = turn.time + WINDOW - now
        return wait

    def _fits(self, number: int, tokens: int) -> bool:
        few = not self._requests or number < self._requests
        return few and (not self._tokens or not number or tokens <= self._tokens)

    def settle(self, turn: Turn, tokens: int) -> None:
        """The tokens that a turn has really taken."""
        turn.tokens = tokens

    def pause(self, seconds: float) -> None:
        """Nothing goes out for so long: the endpoint has asked for it."""
        self._paused_until = max(self._paused_until, self._now() + seconds)
