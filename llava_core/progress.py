"""How far the loading of a model's weights has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from transformers.utils.logging import set_tqdm_hook

BAR = "Loading weights"
"""What transformers calls the bar that it shows while it reads weights."""
Note = Callable[[float], None]


@contextmanager
def weights_watched(note: Note) -> Iterator[None]:
    """While this is open, ``note`` is told which share of a model's tensors is loaded, 0 to 1."""

    def hook(factory: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        bar = factory(*args, **named)
        if named.get("desc") != BAR or not args or not hasattr(args[0], "__len__"):
            return bar
        return _counted(bar, len(args[0]), note)

    before = set_tqdm_hook(hook)
    try:
        yield
    finally:
        set_tqdm_hook(before)


def _counted(items: Any, total: int, note: Note) -> Iterator[Any]:
    note(0.0)
    for number, each in enumerate(items, 1):
        yield each
        note(number / max(total, 1))
