"""Where in its pictures an answer looked: the attention of its tokens to the visual tokens.

Attention shows what a token had access to and took up, which is a hint at why a word was chosen and
no proof. It is worked out again from the cache, for requests that ask for it alone: the others pay
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any
from unicodedata import east_asian_width

import torch
from torch import Tensor

from llava_core.engine.answer import Answer, Piece
from llava_core.engine.decoder import Attention
from llava_core.engine.keys_values import KeysValues, Span
from llava_core.engine.paged import PagedKeysValues
from llava_core.engine.request import Picture, Request
from llava_core.engine.sampling import SamplingParams, TokenName, TokenNames
from llava_core.errors import CoreError
from llava_core.model import Checkpoint, ModelInputs

Grid = list[list[float]]
"""Rows from the top, columns from the left; 0 to 1, the largest of a word's grids is 1."""


@dataclass(frozen=True)
class Word:
    """A word of an answer, with the space before it, and a grid for each picture.

    ``share``: of its attention, what went to pictures at all (0..1, mean over layers and heads).
    """

    text: str
    share: float
    grids: tuple[Grid, ...]


class Watched:
    """Attention of one step that also notes where watched requests look."""

    def __init__(
        self,
        inner: Attention,
        cache: KeysValues | PagedKeysValues,
        requests: Sequence[Request],
        spans: Sequence[Span],
    ) -> None:
        self._inner = inner
        self._cache = cache
        self._watched = [
            (request.watch, span)
            for request, span in zip(requests, spans, strict=True)
            if request.watch is not None
        ]

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """See :class:`llava_core.engine.decoder.Attention`."""
        result = self._inner(layer, query, key, value)
        for watch, span in self._watched:
            keys = self._cache.keys(layer, span.blocks, span.total)
            watch.note(query[span.first : span.last], keys, span.total - span.rows)
        return result


class Looking:
    """Notes the attention of the tokens that choose ``start`` to ``end`` of a request.

    ``pictures`` are the request's; ``view``: patches in a row of what the tower sees at once.
    ``attention`` (end - start, visual tokens) sums over layers.
    """

    def __init__(
        self, start: int, end: int, pictures: Sequence[Picture], layers: int, view: int | None
    ) -> None:
        self.start, self.end = start, end
        self.pictures = list(pictures)
        self._view = view
        self._layers = layers
        self._places = [place for p in pictures for place in range(p.start, p.end)]
        self.attention = torch.zeros(end - start, len(self._places))

    def note(self, query: Tensor, keys: Tensor, first: int) -> None:
        """query (rows, heads, width) of the request's tokens from ``first`` on; keys (key heads,
        tokens, width) of all its tokens so far. A token is chosen by the one before it."""
        own = torch.arange(first, first + len(query), device=query.device)
        chosen = own + 1
        rows = (chosen >= self.start) & (chosen < self.end)
        if not bool(rows.any()):
            return
        seen = torch.arange(keys.shape[1], device=query.device) <= own[rows, None]
        shared = keys.repeat_interleave(query.shape[1] // len(keys), 0).float()
        scores = query[rows].float().transpose(0, 1) @ shared.transpose(1, 2)
        scores = (scores * query.shape[-1] ** -0.5).masked_fill(~seen, float("-inf"))
        mean = scores.softmax(-1).mean(0)[:, self._places].cpu()
        self.attention[chosen[rows].cpu() - self.start] += mean / self._layers

    def words(self, names: Sequence[TokenName]) -> list[Word]:
        """The words of the answer; ``names`` are those of its tokens, one after the other."""
        words = []
        for tokens in words_of([name.text for name in names]):
            mean = self.attention[tokens].mean(0)
            grids = self._grids(mean)
            data = b"".join(names[token].data or b"" for token in tokens)
            words.append(Word(data.decode(errors="replace"), float(mean.sum()), tuple(grids)))
        return words

    def _grids(self, attention: Tensor) -> list[Grid]:
        """The attention to each picture, as a square over its whole view."""
        squares, at = [], 0
        for picture in self.pictures:
            count = picture.end - picture.start
            side = side_of(count, self._view)
            squares.append(attention[at : at + side * side].view(side, side))
            at += count
        most = max((float(square.max()) for square in squares), default=0.0) or 1.0
        return [[[round(x / most, 3) for x in row] for row in s.tolist()] for s in squares]


def side_of(count: int, view: int | None) -> int:
    """Patches in a row of a picture's whole view, which comes before its tiles."""
    side = isqrt(count)
    return min(view, side) if view else side


def words_of(texts: Sequence[str]) -> list[list[int]]:
    """Which tokens make each word: a word begins with white space, or where the answer does.

    Scripts that are written without spaces (Chinese, Japanese) begin one with every token.
    """
    words: list[list[int]] = []
    for index, text in enumerate(texts):
        if not words or text[:1].isspace() or _is_wide(text[:1]):
            words.append([])
        words[-1].append(index)
    return words


def _is_wide(character: str) -> bool:
    return bool(character) and east_asian_width(character) in ("W", "F")


def view_of(checkpoint: Checkpoint) -> int | None:
    """Patches in a row of what the vision tower sees at once; None where it does not say."""
    config: Any = getattr(checkpoint.model.config, "vision_config", None)
    pixels, patch = getattr(config, "image_size", None), getattr(config, "patch_size", None)
    return int(pixels) // int(patch) if pixels and patch else None


Told = list[Word] | CoreError
"""Where an answer looked, or why that is not known."""


def looking_request(
    checkpoint: Checkpoint, inputs: ModelInputs, layers: int, emit: Callable[[Told], None]
) -> Request:
    """A request that computes an answer which is there once more, to note where it looked."""
    assert inputs.answer is not None
    answer = Answer(checkpoint, SamplingParams(max_tokens=1), inputs.prompt_tokens, 1)
    names = TokenNames(checkpoint.tokenizer)
    start, end = inputs.answer
    ids = inputs.input_ids[0].tolist()
    while end > start + 1 and names.name(ids[end - 1]).data is None:
        end -= 1  # the end token

    def tell(item: Piece | CoreError) -> None:
        if isinstance(item, CoreError):
            emit(item)
        elif item.finish_reason != "cancelled":
            emit(looking.words([names.name(token) for token in ids[start:end]]))

    request = Request("", inputs, checkpoint.renderer.image_token_id, answer, tell)
    looking = Looking(start, end, request.pictures, layers, view_of(checkpoint))
    request.watch = looking
    return request
