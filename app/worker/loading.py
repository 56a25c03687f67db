"""What a worker is loading at the moment, told to whoever asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from app.machines import LoadingModel
from llava_core.progress import weights_watched


class LoadingBoard:
    """The models that are being loaded; read from other threads than the one that loads."""

    def __init__(self) -> None:
        self._now: dict[str, LoadingModel] = {}
        self._lock = threading.Lock()

    @property
    def now(self) -> list[LoadingModel]:
        """What is being loaded now."""
        with self._lock:
            return list(self._now.values())

    @contextmanager
    def noting(self, model: str) -> Iterator[None]:
        """While this is open, ``model`` is shown, with the share of it that is loaded."""
        self._note(model, None)
        try:
            with weights_watched(lambda share: self._note(model, share)):
                yield
        finally:
            with self._lock:
                self._now.pop(model, None)

    def _note(self, model: str, share: float | None) -> None:
        with self._lock:
            self._now[model] = LoadingModel(id=model, share=share)


BOARD: ContextVar[LoadingBoard | None] = ContextVar("board", default=None)
"""The board of the worker whose thread this is."""


@contextmanager
def noted(model: str) -> Iterator[None]:
    """Show on this thread's board, if there is one, that ``model`` is being loaded."""
    board = BOARD.get()
    if board is None:
        yield
        return
    with board.noting(model):
        yield
