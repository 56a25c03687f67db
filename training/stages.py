"""The paper's two stages on features that the frozen vision tower computed once.

Stage 1 (feature alignment): only the projection W trains, on captions. Stage 2 (end to end): W and
the language model train on instructions. Visual Instruction Tuning, section 4.2.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import CLIPVisionModel, LlavaForConditionalGeneration

from llava_core.training.optim import muon_and_adamw
from llava_core.training.task import Task
from training.language import split_parameters
from training.samples import (
    Batch,
    Sample,
    Scores,
    answer_logits,
    answer_loss,
    collate,
    mean_over_types,
    split_evenly,
)
from training.store import TokenStore
from training.tower import normalise, patch_features

POOLED = 200
"""Records that are sorted by length together, so that little of a batch is padding."""


def compute_features(
    tower: CLIPVisionModel, pictures: NDArray[np.uint8], path: Path, device: torch.device
) -> Iterator[int]:
    """Z_v of all pictures into ``path`` (npy, float16 (N, patches, d)); yields how many are done.

    The file appears under its name only when it is whole.
    """
    draft = path.with_suffix(".part")
    array: np.memmap[Any, np.dtype[np.float16]] | None = None
    tower.to(device)  # type: ignore[arg-type]
    tower.train(False)
    with torch.inference_mode():
        for start in range(0, len(pictures), 200):
            part = torch.from_numpy(np.array(pictures[start : start + 200]))
            features = patch_features(tower, normalise(part.to(device))).cpu().half().numpy()
            if array is None:
                shape = (len(pictures), *features.shape[1:])
                array = open_memmap(draft, "w+", np.float16, shape)
            array[start : start + len(features)] = features
            yield start + len(features)
    if array is not None:
        array.flush()
    os.replace(draft, path)


def initialise_projection(
    model: LlavaForConditionalGeneration, features: NDArray[np.float16]
) -> None:
    """W random on standardised features: their mean and deviation are folded into W and its bias.

    The scale of H_v starts at that of a sum of five word embeddings.
    """
    sample = torch.from_numpy(features[:500].astype(np.float32)).flatten(0, 1)
    mean, deviation = sample.mean(0), sample.std(0).clamp(min=1e-3)
    linear: nn.Linear = model.model.multi_modal_projector.linear_1
    scale = float(model.get_parameter("lm_head.weight").detach().std()) * 5**0.5
    with torch.no_grad():
        weight = torch.randn_like(linear.weight) * scale / linear.in_features**0.5 / deviation
        linear.weight.copy_(weight)
        linear.bias.copy_(-weight @ mean)


class StageTask(Task):
    """Instruction tuning on cached features; what trains is what requires a gradient."""

    def __init__(
        self,
        model: LlavaForConditionalGeneration,
        features: NDArray[np.float16],
        store: TokenStore,
        held_out: tuple[NDArray[np.float16], TokenStore],
        *,
        pad_id: int,
        image_id: int,
        batch_tokens: int,
        muon_lr: float,
        adam_lr: float,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        model.to(self.device)  # type: ignore[arg-type]
        self.module: nn.Module = model
        self.parts = model.model
        self.head = model.lm_head
        self.features, self.store, self.held_out = features, store, held_out
        self.pad_id, self.image_id = pad_id, image_id
        self.batch_tokens, self.seed = batch_tokens, seed
        matrices, others = split_parameters(model)
        self.optimisers: list[torch.optim.Optimizer] = (
            muon_and_adamw(matrices, others, muon_lr, adam_lr)
            if matrices
            else [torch.optim.Adam(others, lr=adam_lr)]
        )
        self._epoch = 0
        self._first = 0
        self._batches = self._epoch_batches(0)

    def loss(self, step: int) -> Tensor:
        """Mean loss over the answer tokens of batch ``step`` of the shuffled, grouped records."""
        indices = self._indices(step)
        logits = self._forward(self.store, self.features, indices)[1]
        return answer_loss(*logits)

    def evaluate(self) -> dict[str, float]:
        """Share of right answers per question type on held-out pictures, given earlier turns."""
        features, store = self.held_out
        shares = self.score(store, features, range(min(len(store), 320)))
        return {"mean": mean_over_types(shares), **shares}

    def score(
        self, store: TokenStore, features: NDArray[np.float16], indices: range
    ) -> dict[str, float]:
        """Teacher-forced share of right answers per type over the records ``indices``."""
        scores = Scores()
        self.module.eval()
        with torch.inference_mode():
            for start in range(indices.start, indices.stop, 32):
                part = list(range(start, min(start + 32, indices.stop)))
                batch, (logits, targets) = self._forward(store, features, part)
                scores.add_batch(batch, logits, targets)
        self.module.train()
        return scores.shares()

    def _indices(self, step: int) -> list[int]:
        """Records of batch ``step``: each epoch is shuffled by the seed and grouped by length."""
        if step < self._first:
            self._epoch, self._first = 0, 0
            self._batches = self._epoch_batches(0)
        while step >= self._first + len(self._batches):
            self._first += len(self._batches)
            self._epoch += 1
            self._batches = self._epoch_batches(self._epoch)
        return self._batches[step - self._first]

    def _epoch_batches(self, epoch: int) -> list[list[int]]:
        rng = random.Random(f"{self.seed}/{epoch}")
        order = list(range(len(self.store)))
        rng.shuffle(order)
        lengths = [self.store.length(i, self.features.shape[1]) for i in range(len(order))]
        batches: list[list[int]] = []
        for start in range(0, len(order), POOLED):
            pool = sorted(order[start : start + POOLED], key=lengths.__getitem__)
            sizes = [lengths[i] for i in pool]
            parts = max(round(sum(sizes) / self.batch_tokens), 1)
            cut = split_evenly(pool, sizes, parts)
            rng.shuffle(cut)
            batches += cut
        return batches

    def _forward(
        self, store: TokenStore, features: NDArray[np.float16], indices: list[int]
    ) -> tuple[Batch, tuple[Tensor, Tensor]]:
        tokens = features.shape[1]
        samples = [store.sample(i, self.image_id, tokens) for i in indices]
        batch = collate(samples, self.pad_id)

        def visual(sample: Sample) -> Tensor:
            z_v = torch.from_numpy(features[list(sample.pictures)].astype(np.float32))
            h_v: Tensor = self.parts.multi_modal_projector(z_v.to(self.device))
            return h_v.flatten(0, 1)

        return batch, answer_logits(
            batch, visual, self.parts.language_model, self.head, self.image_id
        )
