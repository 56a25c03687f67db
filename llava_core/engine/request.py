"""One answer on its way: its tokens, how many are computed, and the blocks that hold them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from llava_core.engine.answer import Answer, Piece
from llava_core.engine.blocks import Key, Owned
from llava_core.errors import CoreError
from llava_core.model import ModelInputs

Emit = Callable[[Piece | CoreError], None]
"""Takes each piece of an answer, or the error that ends it; called by the engine's thread."""


class Watch(Protocol):
    """Notes where the tokens look that choose ``start`` and what follows; see :mod:`looking`."""

    start: int

    def note(self, query: Tensor, keys: Tensor, first: int) -> None:
        """See :meth:`llava_core.engine.looking.Looking.note`."""


_PLACES = 1 << 20
"""More than a picture has visual tokens."""


@dataclass(frozen=True)
class Picture:
    """A picture's visual tokens ``start`` to ``end`` of the prompt, and what the tower gets of it.

    ``digest`` stands for the content of ``inputs``: equal pictures have equal ones.
    """

    start: int
    end: int
    digest: int
    inputs: Mapping[str, Tensor]

    def key(self, place: int) -> Key:
        """The key of a visual token: below every token id, the same for equal pictures."""
        return -(self.digest * _PLACES + place + 1)


class Request:
    """A prompt and the answer to it, as far as it goes.

    ``ids`` and ``keys`` hold prompt and answer; the first ``computed`` of them are in the cache, of
    which ``reused`` were another request's. ``began`` is when its first step was (seconds). With a
    ``watch`` nothing is answered: it notes where the answer that is there has looked.
    """

    watch: Watch | None = None

    def __init__(
        self, name: str, inputs: ModelInputs, image_token: int, answer: Answer, emit: Emit
    ) -> None:
        self.name = name
        self.ids: list[int] = inputs.input_ids[0].tolist()
        self.pictures = pictures_of(inputs, image_token)
        self.keys = keys_of(self.ids, self.pictures)
        self.prompt_tokens = len(self.ids)
        self.seen = set(self.ids) - {image_token}
        self.answer = answer
        self.emit = emit
        self.owned = Owned()
        self.computed = 0
        self.reused = 0
        self.began = 0.0
        self.cancelled = False

    @property
    def left(self) -> int:
        """Tokens that are still to be computed before the next one can be chosen."""
        return len(self.ids) - self.computed

    @property
    def answers(self) -> bool:
        """Whether the prompt is computed: each step now gives a token."""
        return self.left == 1 and len(self.ids) > self.prompt_tokens

    @property
    def reusable(self) -> Sequence[Key]:
        """The keys that may be another request's: not those whose attention is to be noted."""
        return self.keys[: self.watch.start] if self.watch else self.keys

    def append(self, token: int) -> None:
        """The next token of the answer."""
        self.ids.append(token)
        self.keys.append(token)
        self.seen.add(token)


def pictures_of(inputs: ModelInputs, image_token: int) -> tuple[Picture, ...]:
    """The pictures of a prompt, each with its own part of the image processor's tensors."""
    places = (inputs.input_ids[0] == image_token).nonzero()[:, 0].tolist()
    pictures, at = [], 0
    for index, count in enumerate(inputs.visual_tokens):
        own = {name: value[index : index + 1] for name, value in inputs.pictures.items()}
        pictures.append(Picture(places[at], places[at] + count, digest_of(own), own))
        at += count
    return tuple(pictures)


def digest_of(inputs: Mapping[str, Tensor]) -> int:
    """A number for the content of tensors (the first 128 bits of SHA-256)."""
    digest = hashlib.sha256()
    for name in sorted(inputs):
        value = _without_padding(inputs[name]).detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return int.from_bytes(digest.digest()[:16], "big")


def _without_padding(value: Tensor) -> Tensor:
    """Tiles (1, tiles, channels, height, width) without the empty ones at the end.

    They only make all pictures of a conversation equally long; the picture's size is another of
    the processor's tensors.
    """
    if value.dim() != 5:
        return value
    filled = value[0].flatten(1).any(1).nonzero()
    return value[:, : int(filled[-1]) + 1 if len(filled) else 0]


def keys_of(ids: list[int], pictures: tuple[Picture, ...]) -> list[Key]:
    """Token ids, with a picture's own keys where its visual tokens stand."""
    keys = list(ids)
    for picture in pictures:
        for place in range(picture.end - picture.start):
            keys[picture.start + place] = picture.key(place)
    return keys
