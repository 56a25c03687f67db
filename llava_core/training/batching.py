"""Which samples form a step, and how they lie in rows: packed, or padded and grouped by length.

A step holds the same samples on every machine. How they are split into micro-batches and over
processes changes only the order of additions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from llava_core.training.prepared import Prepared, TokenSample

Layout = Literal["packed", "padded"]
Row = list[int]
MicroBatch = list[Row]


class Mixture:
    """Several prepared sets as one, each as often as its weight says.

    Weight 2 shows every sample twice an epoch, 0.5 every second one: another half each epoch.
    """

    def __init__(self, sets: Sequence[Prepared], weights: Sequence[float], seed: int) -> None:
        self.sets, self.weights, self.seed = list(sets), list(weights), seed
        self.offsets = np.cumsum([0, *(len(each) for each in sets)])
        self.lengths: NDArray[np.int64] = np.concatenate([each.lengths for each in sets])
        self.answer_tokens: NDArray[np.int64] = np.concatenate(
            [each.answer_tokens for each in sets]
        )
        self._shuffled: tuple[int, NDArray[np.int64]] = (-1, np.zeros(0, np.int64))

    def __len__(self) -> int:
        """Samples of one epoch."""
        return sum(
            round(weight * len(each)) for each, weight in zip(self.sets, self.weights, strict=True)
        )

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The samples of an epoch, shuffled; several threads may ask."""
        kept, order = self._shuffled
        if epoch != kept:
            rng = np.random.default_rng([self.seed, epoch])
            parts = [self._part(index, rng) for index in range(len(self.sets))]
            order = np.asarray(rng.permutation(np.concatenate(parts)), np.int64)
            self._shuffled = (epoch, order)
        return order

    def _part(self, index: int, rng: np.random.Generator) -> NDArray[np.int64]:
        number = len(self.sets[index])
        whole, rest = divmod(round(self.weights[index] * number), number)
        some = rng.permutation(number)[:rest]
        chosen: NDArray[np.int64] = np.concatenate([*[np.arange(number)] * whole, some])
        return np.asarray(chosen + self.offsets[index], np.int64)

    def locate(self, sample: int) -> tuple[int, int]:
        """The set that holds a sample, and its number there."""
        index = int(np.searchsorted(self.offsets, sample, side="right")) - 1
        return index, int(sample - self.offsets[index])

    def sample(self, sample: int) -> TokenSample:
        """A sample by its number in the mixture."""
        index, number = self.locate(sample)
        return self.sets[index].sample(number)


@dataclass(frozen=True)
class Steps:
    """``batch_size`` samples a step, as in the paper; the last one of an epoch may be short."""

    mixture: Mixture
    batch_size: int
    epochs: float

    @property
    def per_epoch(self) -> int:
        """Steps of one epoch."""
        return -(-len(self.mixture) // self.batch_size)

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return max(round(self.per_epoch * self.epochs), 1)

    def samples(self, step: int) -> list[int]:
        """The samples of a step, by their numbers in the mixture."""
        epoch, at = divmod(step, self.per_epoch)
        order = self.mixture.order(epoch)
        return [int(s) for s in order[at * self.batch_size : (at + 1) * self.batch_size]]


@dataclass(frozen=True)
class Shape:
    """How a step's samples are laid out: rows of up to ``row_tokens``, or of the step's longest
    sample where that is longer; micro-batches of up to ``micro_tokens``, at least one row.

    Attention costs the square of a row's length, so rows are no longer than they must be: 0.
    """

    layout: Layout = "packed"
    row_tokens: int = 0
    micro_tokens: int = 4096


def lay_out(
    samples: Sequence[int], lengths: NDArray[np.int64], shape: Shape, processes: int = 1
) -> list[list[MicroBatch]]:
    """For each process its micro-batches, as many for each: rows of sample numbers.

    Where a step has too few rows, a process gets an empty micro-batch.
    """
    rows = (
        pack(samples, lengths, max(shape.row_tokens, int(lengths[list(samples)].max(initial=0))))
        if shape.layout == "packed"
        else [[sample] for sample in samples]
    )
    sizes = [int(lengths[row].sum()) for row in rows]
    order = sorted(range(len(rows)), key=lambda index: (-sizes[index], index))
    batches: list[MicroBatch] = []
    room = 0
    for index in order:
        if not room:
            # The longest row comes first, so it decides how wide the micro-batch is.
            batches.append([])
            room = max(shape.micro_tokens // sizes[index], 1)
        batches[-1].append(rows[index])
        room -= 1
    batches += [[] for _ in range(-len(batches) % processes)]
    return [batches[rank::processes] for rank in range(processes)]


def pack(samples: Sequence[int], lengths: NDArray[np.int64], capacity: int) -> list[Row]:
    """Samples in rows of at most ``capacity`` tokens: first fit, longest first."""
    rows: list[Row] = []
    left: list[int] = []
    for sample in sorted(samples, key=lambda each: (-int(lengths[each]), each)):
        length = int(lengths[sample])
        place = next((at for at, room in enumerate(left) if room >= length), None)
        if place is None:
            rows.append([])
            left.append(capacity)
            place = len(rows) - 1
        rows[place].append(sample)
        left[place] -= length
    return rows


@dataclass(frozen=True)
class Batch:
    """A micro-batch as tensors.

    ``ids``, ``positions``, ``targets`` (rows, T): positions begin anew with each sample, which is
    how the attention knows that they do not see each other; targets are the ids themselves where
    they are learnt, else -100. ``pictures``: (set, name) of each picture, in the order of their
    visual tokens. ``tokens`` are not padding; ``packed``: whether a row holds several samples.
    """

    ids: Tensor
    positions: Tensor
    targets: Tensor
    pictures: tuple[tuple[int, int], ...]
    tokens: int
    packed: bool


def collate(micro: MicroBatch, mixture: Mixture, pad_id: int) -> Batch:
    """The rows as tensors; an empty micro-batch becomes one padding token that nobody learns."""
    rows = [
        [(mixture.locate(number)[0], mixture.sample(number)) for number in row] for row in micro
    ]
    widths = [sum(len(sample.ids) for _, sample in row) for row in rows]
    shape = (max(len(rows), 1), max(widths, default=1))
    ids = np.full(shape, pad_id, np.int64)
    targets = np.full(shape, -100, np.int64)
    positions = np.zeros(shape, np.int64)
    pictures: list[tuple[int, int]] = []
    for index, row in enumerate(rows):
        at = 0
        for which, sample in row:
            end = at + len(sample.ids)
            ids[index, at:end] = sample.ids
            targets[index, at:end] = np.where(sample.mask, sample.ids, -100)
            targets[index, at] = -100
            positions[index, at:end] = np.arange(end - at)
            pictures += [(which, picture) for picture in sample.pictures]
            at = end
        # Padding goes on counting, so that it is no sequence of its own where rows hold one sample.
        positions[index, at:] = positions[index, at - 1] + 1 + np.arange(shape[1] - at)
    return Batch(
        torch.from_numpy(ids),
        torch.from_numpy(positions),
        torch.from_numpy(targets),
        tuple(pictures),
        sum(widths),
        any(len(row) > 1 for row in rows),
    )
