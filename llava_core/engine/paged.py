"""Keys and values in pages, for GPUs: one call of fused attention for all requests of a step.

The attention is PyTorch's ``varlen_attn`` with a table of pages (FlashAttention,
https://arxiv.org/abs/2307.08691); elsewhere the same is computed by plain operations, so that
everything around it is tested without a GPU. The tensors that describe a step keep their places in
memory, which lets a decode step be recorded once and replayed (:mod:`llava_core.engine.replay`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from llava_core.engine.blocks import Copy
from llava_core.engine.decoder import Shape
from llava_core.engine.keys_values import Span

PAGE = 256
"""Tokens of a page: what FlashAttention 2 can address."""


@dataclass
class Table:
    """What a step's attention reads, for ``n`` requests.

    ``places`` (rows,): where the new tokens go; ``rows`` (n + 1,): first row of each request and
    the number of rows; ``used`` (n,): tokens of each request, the new ones included; ``pages``
    (n, most): its pages, in order.
    """

    places: Tensor
    rows: Tensor
    used: Tensor
    pages: Tensor
    most_rows: int

    @classmethod
    def of(cls, spans: Sequence[Span], size: int, device: torch.device) -> Table:
        """The table of spans that follow each other."""
        places = [
            span.blocks[token // size] * size + token % size
            for span in spans
            for token in range(span.total - span.rows, span.total)
        ]
        most = max(-(-span.total // size) for span in spans)
        pages = [[*span.blocks[:most], *[0] * (most - len(span.blocks))] for span in spans]
        return cls(
            places=torch.tensor(places, device=device),
            rows=_whole([spans[0].first, *(span.last for span in spans)], device),
            used=_whole([span.total for span in spans], device),
            pages=_whole(pages, device),
            most_rows=max(span.rows for span in spans),
        )


def _whole(numbers: object, device: torch.device) -> Tensor:
    return torch.tensor(numbers, dtype=torch.int32, device=device)


class PagedKeysValues:
    """The cache's tensors: (2, pages, size, key heads, width) for each layer."""

    def __init__(
        self, shape: Shape, pages: int, size: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.shape = shape
        self.size = size
        self.device = device
        self._layers = [
            torch.zeros(2, pages, size, shape.key_heads, shape.width, dtype=dtype, device=device)
            for _ in range(shape.layers)
        ]

    def copy(self, copy: Copy) -> None:
        """Copy the beginning of a page."""
        for layer in self._layers:
            layer[:, copy.target, : copy.tokens] = layer[:, copy.source, : copy.tokens]

    def step(self, spans: Sequence[Span]) -> PagedStep:
        """Attention for the rows of one step."""
        return PagedStep(self, Table.of(spans, self.size, self.device))

    def layer(self, index: int) -> Tensor:
        """Keys and values (2, pages, size, key heads, width) of a layer."""
        return self._layers[index]

    def keys(self, index: int, blocks: Sequence[int], total: int) -> Tensor:
        """A copy of a layer's keys (key heads, total, width) of one request."""
        return self._layers[index][0, list(blocks)].flatten(0, 1)[:total].transpose(0, 1)


class PagedStep:
    """Attention of one step; called by the decoder layer after layer."""

    def __init__(self, cache: PagedKeysValues, table: Table) -> None:
        self._cache = cache
        self._table = table

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """See :class:`llava_core.engine.decoder.Attention`."""
        stored = self._cache.layer(layer)
        flat = stored.flatten(1, 2)
        flat[0].index_copy_(0, self._table.places, key)
        flat[1].index_copy_(0, self._table.places, value)
        attend = fused if query.is_cuda else plain
        return attend(query, stored, self._table)


def fused(query: Tensor, stored: Tensor, table: Table) -> Tensor:
    """query (rows, heads, width) over pages (2, pages, size, key heads, width), in one kernel."""
    from torch.nn.attention.varlen import varlen_attn  # asks for a GPU's kernels when imported

    result = varlen_attn(
        query.contiguous(),
        stored[0],
        stored[1],
        table.rows,
        None,
        table.most_rows,
        table.pages.shape[1] * stored.shape[2],
        window_size=(-1, 0),
        enable_gqa=query.shape[1] != stored.shape[3],
        seqused_k=table.used,
        block_table=table.pages,
    )
    assert isinstance(result, Tensor)
    return result


def plain(query: Tensor, stored: Tensor, table: Table) -> Tensor:
    """The same by plain operations, request by request."""
    result = torch.empty_like(query)
    rows, used = table.rows.tolist(), table.used.tolist()
    for index, total in enumerate(used):
        first, last = rows[index], rows[index + 1]
        pages = stored[:, table.pages[index].long()].flatten(1, 2)[:, :total].transpose(1, 2)
        own = torch.arange(total - (last - first), total, device=query.device)
        seen = torch.arange(total, device=query.device) <= own[:, None]
        asked = query[first:last].transpose(0, 1)
        answer = scaled_dot_product_attention(
            asked[None], pages[0][None], pages[1][None], attn_mask=seen, enable_gqa=True
        )
        result[first:last] = answer[0].transpose(0, 1)
    return result
