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

    def keys(self, index: int, blocks: Sequence[int], total: int) -> Tensor:
        """A copy of a layer's keys (key heads, total, width) of one request."""
        runs = runs_of(Span(0, 0, blocks, total), self.size)
        return torch.cat([self._layers[index][0, :, start:end] for start, end in runs], 1)


class Step:
    """Attention of one step; called by the decoder layer after layer."""

    def __init__(self, cache: KeysValues, spans: Sequence[Span]) -> None:
        self._cache = cache
        device = cache.layer(0).device
        self._parts = [_Part(span, runs_of(span, cache.size), device) for span in spans]
        places = [place for part in self._parts for place in part.new_places(cache.size)]
        self._places = torch.tensor(places, device=device)

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """See :class:`llava_core.engine.decoder.Attention`."""
        stored = self._cache.layer(layer)
        stored[0].index_copy_(1, self._places, key.transpose(0, 1))
        stored[1].index_copy_(1, self._places, value.transpose(0, 1))
        result = torch.empty_like(query)
        asked, answered = self._by_key_head(query), self._by_key_head(result)
        for part in self._parts:
            rows = asked[:, part.span.first : part.span.last]
            answer = part.attend(rows.flatten(1, 2)[None], stored)
            answered[:, part.span.first : part.span.last] = answer.view(rows.shape)
        return result

    def _by_key_head(self, heads: Tensor) -> Tensor:
        """(rows, heads, width) as (key heads, rows, heads that share a key head, width)."""
        shape = self._cache.shape
        shared = shape.heads // shape.key_heads
        return heads.view(-1, shape.key_heads, shared, shape.width).permute(1, 0, 2, 3)


class _Part:
    """One request's share of a step."""

    def __init__(self, span: Span, runs: list[Run], device: torch.device) -> None:
        self.span = span
        self._runs = runs
        self._device = device
        self._mask: Tensor | None = None

    def new_places(self, size: int) -> list[int]:
        """Where the keys and values of the new tokens go."""
        span = self.span
        return [
            span.blocks[token // size] * size + token % size
            for token in range(span.total - span.rows, span.total)
        ]

    def attend(self, query: Tensor, stored: Tensor) -> Tensor:
        """query (1, key heads, rows, width) over the request's runs of a layer."""
        if len(self._runs) == 1:
            start, end = self._runs[0]
            return self._over(query, stored[:, None, :, start:end])
        if self.span.rows == 1 and query.device.type == "cpu":
            return self._over_runs(query, stored)
        whole = torch.cat([stored[:, :, start:end] for start, end in self._runs], 2)
        return self._over(query, whole[:, None])

    def _over(self, query: Tensor, stored: Tensor) -> Tensor:
        mask = self._causal(query) if self.span.rows > 1 else None
        return scaled_dot_product_attention(query, stored[0], stored[1], attn_mask=mask)

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

    def _over_runs(self, query: Tensor, stored: Tensor) -> Tensor:
        results, sums = [], []
        for start, end in self._runs:
            run = stored[:, None, :, start:end]
            result, total = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                query, run[0], run[1]
            )
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
