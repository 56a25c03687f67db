"""How a command ends that is interrupted: with one sentence, and the exit status of Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

INTERRUPTED = 130
Arguments = ParamSpec("Arguments")


def interruptible(
    after: str,
) -> Callable[[Callable[Arguments, int]], Callable[Arguments, int]]:
    """A decorator of a command's ``main``: on Ctrl-C it says ``after`` and returns 130."""

    def decorate(main: Callable[Arguments, int]) -> Callable[Arguments, int]:
        @wraps(main)
        def guarded(*words: Arguments.args, **options: Arguments.kwargs) -> int:
            try:
                return main(*words, **options)
            except KeyboardInterrupt:
                print(f"Interrupted; {after}", file=sys.stderr)
                return INTERRUPTED

        return guarded

    return decorate
