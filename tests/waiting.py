"""Waiting for what another thread or process does: as long as it takes, and not a moment longer."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 90.0
"""Seconds. A busy machine is no reason for a failure; a test that passes never waits so long."""


def eventually(
    condition: Callable[[], object],
    explain: Callable[[], object] = lambda: "it did not happen in time",
    seconds: float = PATIENCE,
) -> None:
    """Return once the condition holds; fail with what ``explain`` says where it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.01)
