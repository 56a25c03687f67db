"""Keys and values of all requests in one place, and attention over them.

Blocks that follow each other in memory make a run: attention reads whole runs in place, without
gathering them, and joins the results of several runs by their log-sum-exp
(https://arxiv.org/abs/2205.14135). A request that takes over another's beginning has two runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from llava_core.engine.blocks import Copy
from llava_core.engine.decoder import Shape

Run = tuple[int, int]
"""First place and the one after the last, in tokens."""


@dataclass(frozen=True)
class Span:
    """Rows ``first`` to ``last`` of a step belong to one request.

    ``blocks`` hold its keys and values, ``total`` tokens with the new ones.
    """

    first: int
    last: int
    blocks: Sequence[int]
    total: int

    @property
    def rows(self) -> int:
        """New tokens."""
        return self.last - self.first


class KeysValues:
    """The cache's tensors: (2, key heads, places, width) for each layer."""

    def __init__(
        self, shape: Shape, blocks: int, size: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.shape = shape
        self.size = size
        places = blocks * size
        self._layers = [
            torch.zeros(2, shape.key_heads, places, shape.width, dtype=dtype, device=device)
            for _ in range(shape.layers)
        ]
        self._halves = [tuple(layer[:, None].unbind()) for layer in self._layers]

    @staticmethod
    def bytes_of_block(shape: Shape, size: int, dtype: torch.dtype) -> int:
        """What a block takes over all layers."""
        return 2 * shape.layers * shape.key_heads * shape.width * size * dtype.itemsize

    def copy(self, copy: Copy) -> None:
        """Copy the beginning of a block."""
        source, target = copy.source * self.size, copy.target * self.size
        for layer in self._layers:
            layer[:, :, target : target + copy.tokens] = layer[:, :, source : source + copy.tokens]

    def step(self, spans: Sequence[Span]) -> Step:
        """Attention for the rows of one step."""
        return Step(self, spans)

    def layer(self, index: int) -> Tensor:
        """Keys and values (2, key heads, places, width) of a layer."""
        return self._layers[index]

    def halves(self, index: int) -> tuple[Tensor, ...]:
        """A layer's keys and its values, both (1, key heads, places, width)."""
        return self._halves[index]

    def keys(self, index: int, blocks: Sequence[int], total: int) -> Tensor:
        """A copy of a layer's keys (key heads, total, width) of one request."""
        runs = runs_of(Span(0, 0, blocks, total), self.size)
        return torch.cat([self._layers[index][0, :, start:end] for start, end in runs], 1)


class Step:
    """Attention of one step; called by the decoder layer after layer."""

    def __init__(self, cache: KeysValues, spans: Sequence[Span]) -> None:
        self._cache = cache
        device = cache.layer(0).device
        self._parts = [
            _Part(span, runs_of(span, cache.size), cache.shape, device) for span in spans
        ]
        places = [place for part in self._parts for place in part.new_places(cache.size)]
        self._places = torch.tensor(places, device=device)

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """See :class:`llava_core.engine.decoder.Attention`."""
        stored = self._cache.layer(layer)
        stored[0].index_copy_(1, self._places, key.transpose(0, 1))
        stored[1].index_copy_(1, self._places, value.transpose(0, 1))
        halves = self._cache.halves(layer)
        answers = [part.attend(query, *halves) for part in self._parts]
        return answers[0] if len(answers) == 1 else torch.cat(answers)


class _Part:
    """One request's share of a step."""

    def __init__(self, span: Span, runs: list[Run], shape: Shape, device: torch.device) -> None:
        self.span = span
        self._runs = runs
        shared = shape.heads // shape.key_heads
        self._grouped = span.rows, shape.key_heads, shared, shape.width
        self._device = device
        self._mask: Tensor | None = None

    def new_places(self, size: int) -> list[int]:
        """Where the keys and values of the new tokens go."""
        span = self.span
        return [
            span.blocks[token // size] * size + token % size
            for token in range(span.total - span.rows, span.total)
        ]

    def attend(self, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """The request's rows of query (all rows, heads, width) over its runs of a layer's
        keys and values (1, key heads, places, width); returns (rows, heads, width)."""
        rows, key_heads, shared, width = self._grouped
        own = query.narrow(0, self.span.first, rows).view(self._grouped)
        if rows == 1:
            return self._look(own, keys, values).reshape(1, -1, width)
        by_head = own.transpose(0, 1).reshape(1, key_heads, rows * shared, width)
        answer = self._look(by_head, keys, values).view(key_heads, rows, shared, width)
        return answer.transpose(0, 1).reshape(rows, -1, width)

    def _look(self, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """query (1, key heads, rows and the heads that share a key head, width) -> the same."""
        if self.span.rows == 1 and len(self._runs) > 1 and query.device.type == "cpu":
            return self._over_runs(query, keys, values)
        mask = self._causal(query) if self.span.rows > 1 else None
        own = self._of_all_runs(keys), self._of_all_runs(values)
        return scaled_dot_product_attention(query, *own, attn_mask=mask)

    def _of_all_runs(self, stored: Tensor) -> Tensor:
        parts = [stored.narrow(2, start, end - start) for start, end in self._runs]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 2)

    def _causal(self, query: Tensor) -> Tensor:
        """(rows, total): a new token sees those before it and itself. Made once for all layers."""
        if self._mask is None:
            span, shared = self.span, query.shape[2] // self.span.rows
            own = torch.arange(span.total - span.rows, span.total, device=self._device)
            hidden = torch.arange(span.total, device=self._device) > own[:, None]
            mask = torch.zeros(hidden.shape, dtype=query.dtype, device=self._device)
            mask.masked_fill_(hidden, float("-inf"))
            self._mask = mask.repeat_interleave(shared, 0)
        return self._mask

    def _over_runs(self, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        results, sums = [], []
        for start, end in self._runs:
            run = keys.narrow(2, start, end - start), values.narrow(2, start, end - start)
            result, total = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(query, *run)
            results.append(result)
            sums.append(total)
        weights = torch.softmax(torch.stack(sums), 0)[..., None].to(query.dtype)
        return (torch.stack(results) * weights).sum(0)


def runs_of(span: Span, size: int) -> list[Run]:
    """The request's blocks as runs of places, in order."""
    runs: list[Run] = []
    left = span.total
    for block in span.blocks:
        if left <= 0:
            break
        start, end = block * size, block * size + min(size, left)
        if runs and runs[-1][1] == start:
            runs[-1] = runs[-1][0], end
        else:
            runs.append((start, end))
        left -= size
    return runs
