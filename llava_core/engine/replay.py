"""Decode steps that are recorded once and replayed: on a GPU, launching costs more than computing.

A step in which every request has one row always has the same shape, but for the number of requests;
that is rounded up to a few sizes. Rows beyond the requests write to a page of their own, which
nobody reads (https://pytorch.org/blog/accelerating-pytorch-with-cuda-graphs/).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from llava_core.engine.decoder import Decoder
from llava_core.engine.keys_values import Span
from llava_core.engine.paged import PagedKeysValues, PagedStep, Table

log = logging.getLogger(__name__)

SIZES = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)
WARM_UPS = 3


@dataclass(frozen=True)
class _Recorded:
    """A recorded step: put numbers into ``ids``, ``positions`` and ``table``, run, read logits."""

    ids: Tensor
    positions: Tensor
    table: Table
    logits: Tensor
    run: Callable[[], object]


class Replay:
    """Decode steps over a paged cache; ``spare`` is the page for rows that belong to nobody.

    Without a GPU nothing is recorded and every step is computed anew, in the same shapes.
    """

    def __init__(
        self, decoder: Decoder, cache: PagedKeysValues, spare: int, most: int, context: int
    ) -> None:
        self._decoder = decoder
        self._cache = cache
        self._spare = spare
        self._most_pages = -(-context // cache.size)
        self._sizes = [size for size in SIZES if size < most] + [most]
        self._recorded: dict[int, _Recorded] = {}
        self._works = True

    def fits(self, spans: Sequence[Span]) -> bool:
        """Whether these spans are a decode step of a known size."""
        one_each = all(span.rows == 1 for span in spans)
        return self._works and one_each and len(spans) <= self._sizes[-1]

    @torch.inference_mode()
    def logits(self, ids: Sequence[int], spans: Sequence[Span]) -> Tensor | None:
        """Logits (requests, vocabulary) after one token of each; None where recording failed."""
        size = next(size for size in self._sizes if size >= len(spans))
        try:
            step = self._recorded.get(size) or self._record(size)
        except RuntimeError as error:
            log.warning("decode steps are not recorded: %s", error)
            self._works = False
            return None
        self._fill(step, ids, spans)
        step.run()
        return step.logits[: len(spans)]

    def _fill(self, step: _Recorded, ids: Sequence[int], spans: Sequence[Span]) -> None:
        """The step's numbers; rows beyond the requests look at one token of the spare page."""
        beyond = len(step.ids) - len(spans)
        size, table = self._cache.size, step.table
        last = [span.total - 1 for span in spans]
        places = [s.blocks[n // size] * size + n % size for s, n in zip(spans, last, strict=True)]
        pages = [self._row([*span.blocks[: self._most_pages]]) for span in spans]
        step.ids.copy_(torch.tensor([*ids, *[0] * beyond]))
        step.positions.copy_(torch.tensor([*last, *[0] * beyond]))
        table.places.copy_(torch.tensor([*places, *[self._spare * size] * beyond]))
        table.used.copy_(torch.tensor([*(n + 1 for n in last), *[1] * beyond]))
        table.pages.copy_(torch.tensor([*pages, *[self._row([])] * beyond]))

    def _row(self, blocks: list[int]) -> list[int]:
        return blocks + [self._spare] * (self._most_pages - len(blocks))

    def _record(self, size: int) -> _Recorded:
        device = self._cache.device
        ids, positions, places = (torch.zeros(size, dtype=torch.long, device=device) for _ in "123")
        table = Table(
            places=places,
            rows=torch.arange(size + 1, dtype=torch.int32, device=device),
            used=torch.ones(size, dtype=torch.int32, device=device),
            pages=torch.zeros(size, self._most_pages, dtype=torch.int32, device=device),
            most_rows=1,
        )
        step = _Recorded(ids, positions, table, torch.empty(0), lambda: None)
        self._fill(step, [], [])
        recorded = self._capture(step) if device.type == "cuda" else self._anew(step)
        self._recorded[size] = recorded
        return recorded

    def _compute(self, step: _Recorded) -> Tensor:
        attention = PagedStep(self._cache, step.table)
        rows = self._decoder(self._decoder.embed(step.ids), step.positions, attention)
        return self._decoder.logits(rows)

    def _capture(self, step: _Recorded) -> _Recorded:
        """Record the step on the GPU, after a few runs in which libraries settle."""
        stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                self._compute(step)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            logits = self._compute(step)
        return _Recorded(step.ids, step.positions, step.table, logits, graph.replay)

    def _anew(self, step: _Recorded) -> _Recorded:
        """The same without a GPU: computed into one tensor at each run."""
        logits = self._compute(step)
        return _Recorded(
            step.ids,
            step.positions,
            step.table,
            logits,
            lambda: logits.copy_(self._compute(step)),
        )
