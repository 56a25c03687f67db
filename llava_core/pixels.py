"""What an image processor made of pictures, kept for their next turn.

Every turn of a conversation brings all its pictures again. The processor's work, which for a
photograph of a phone takes longer than the model's share of a second turn, is done for the first.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image
from torch import Tensor

LIMIT = 64_000_000
"""Bytes of kept tensors: some twenty conversations of LLaVA-NeXT, a hundred of LLaVA 1.5."""

Processed = dict[str, Any]
Process = Callable[[list[Image.Image]], Processed]


class PixelCache:
    """The newest results in ``limit`` bytes, by the picture objects that they were made of.

    Pictures are told apart as objects, not by content: whoever wants a hit keeps them
    (:mod:`app.worker.pictures`). May be used by several threads.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._kept: OrderedDict[tuple[int, ...], tuple[list[weakref.ref[Any]], Processed]]
        self._kept = OrderedDict()
        self._lock = threading.Lock()
        self.bytes = 0

    def processed(self, images: Sequence[Image.Image], process: Process) -> Processed:
        """What ``process`` makes of these pictures, in this order; not to be changed."""
        key = tuple(id(image) for image in images)
        with self._lock:
            if (known := self._kept.get(key)) and _alive(known[0], images):
                self._kept.move_to_end(key)
                return known[1]
        made = process(list(images))
        with self._lock:
            self._drop(key)
            self._kept[key] = [weakref.ref(image) for image in images], made
            self.bytes += _bytes(made)
            while self.bytes > self._limit and self._kept:
                self._drop(next(iter(self._kept)))
        return made

    def _drop(self, key: tuple[int, ...]) -> None:
        if (gone := self._kept.pop(key, None)) is not None:
            self.bytes -= _bytes(gone[1])


def _alive(known: Sequence[weakref.ref[Any]], images: Sequence[Image.Image]) -> bool:
    """Whether these are the very pictures: the number of a dead object may be given again."""
    return all(ref() is image for ref, image in zip(known, images, strict=True))


def _bytes(processed: Processed) -> int:
    return sum(value.nbytes for value in processed.values() if isinstance(value, Tensor))
