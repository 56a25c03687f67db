"""What replies cost, and when the next one could cost too much."""

from __future__ import annotations

from dataclasses import dataclass

from training.endpoint.errors import BudgetSpent
from training.endpoint.request import Usage

MILLION = 1_000_000


@dataclass(frozen=True)
class Prices:
    """Money for a million tokens read, and written, in any currency."""

    read: float = 0.0
    written: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.read or self.written)

    def of(self, usage: Usage) -> float:
        """What so many tokens cost."""
        return (usage.read * self.read + usage.written * self.written) / MILLION


class Budget:
    """Money for a whole job, all its starts together; ``limit`` None: without an end.

    What is under way counts as the most that it can cost, so that the limit is kept whatever the
    replies' lengths (as far as the tokens of a prompt are estimated well).
    """

    def __init__(self, prices: Prices, limit: float | None, used: Usage) -> None:
        self.prices, self.limit = prices, limit
        self.used = used
        self._reserved = 0.0

    @property
    def spent(self) -> float:
        """What all replies have cost so far."""
        return self.prices.of(self.used)

    def reserve(self, most: Usage) -> float | None:
        """The money put aside for a request; None where it fits only if others turn out cheaper.

        Raises :class:`training.endpoint.errors.BudgetSpent` where nothing is under way and it does
        not fit.
        """
        cost = self.prices.of(most)
        if self.limit is not None and self.spent + self._reserved + cost > self.limit:
            if self._reserved > 0:
                return None
            raise BudgetSpent(
                f"The budget of {self.limit:g} does not last: {self.spent:.4f} is spent, and the "
                f"next request may cost {cost:.4f}",
                "What came is kept. Raise --budget and start the same command again: nothing is "
                "asked twice.",
            )
        self._reserved += cost
        return cost

    def settle(self, reserved: float, usage: Usage) -> None:
        """Give back what was put aside, and count what it has cost."""
        self._reserved = max(self._reserved - reserved, 0.0)
        self.used += usage
