"""The tiny vision tower: a CLIP-type ViT prepared on dense labels of drawn scenes.

Published towers learn from hundreds of millions of captions. With minutes instead of weeks, dense
labels (what each patch shows) teach a tower to tell things apart and to say where they are;
contrastive training on captions alone learned colours but hardly kinds in the same time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModel

from llava_core.training.optim import muon_and_adamw
from llava_core.training.task import Task
from training.grid import ATTRIBUTES, IGNORED, LABELS, PAGE

MEAN = (0.5, 0.5, 0.5)
DEVIATION = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class TowerData:
    """Pictures ``(N, H, W, 3)`` uint8 with labels ``(N, patches, 6)`` and offsets of each patch."""

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]
    offsets: NDArray[np.float32]


def build_tower(pixels: int = 96, width: int = 192, layers: int = 4) -> CLIPVisionModel:
    """A vision tower of about 1.9M parameters with patches of 12 pixels, weights random."""
    config = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        image_size=pixels,
        patch_size=12,
        projection_dim=width,
    )
    config._attn_implementation = "sdpa"
    tower = CLIPVisionModel(config)
    positions = tower.get_parameter("embeddings.position_embedding.weight")
    with torch.no_grad():
        positions.copy_(_positions(pixels // 12, width))
    return tower


def _positions(side: int, width: int) -> Tensor:
    """Sine-cosine embeddings of rows and columns (one extra row for CLS): (1 + side^2, width)."""
    rates = 1.0 / (100.0 ** (torch.arange(width // 4) / (width // 4)))
    angles = torch.arange(side)[:, None] * rates[None]
    axis = torch.cat([angles.sin(), angles.cos()], 1)
    rows = axis[:, None].expand(side, side, -1)
    columns = axis[None].expand(side, side, -1)
    grid = torch.cat([rows, columns], -1).reshape(side * side, width)
    return torch.cat([torch.zeros(1, width), grid])


def normalise(pictures: Tensor) -> Tensor:
    """uint8 (N, H, W, 3) -> float32 pixel values (N, 3, H, W), as the image processor gives."""
    mean = torch.tensor(MEAN, device=pictures.device)
    deviation = torch.tensor(DEVIATION, device=pictures.device)
    return ((pictures.float() / 255 - mean) / deviation).permute(0, 3, 1, 2).contiguous()


def patch_features(tower: CLIPVisionModel, pixel_values: Tensor) -> Tensor:
    """Z_v: the last layer's patch features without CLS, before the final norm: (N, patches, d)."""
    output = tower(pixel_values, output_hidden_states=True)
    features: Tensor = output.hidden_states[-1][:, 1:]
    return features


class DenseHead(nn.Module):
    """Linear readers of each label from a patch's features."""

    def __init__(self, width: int) -> None:
        super().__init__()
        sizes = {**ATTRIBUTES, "centre": 2}
        self.readers = nn.ModuleDict({name: nn.Linear(width, n) for name, n in sizes.items()})
        self.offset = nn.Linear(width, 2)

    def forward(self, features: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Logits per label name and the offset to the thing's centre."""
        return {n: reader(features) for n, reader in self.readers.items()}, self.offset(features)


class TowerTask(Task):
    """Cross-entropy of every dense label plus the squared error of the offset."""

    def __init__(
        self,
        tower: CLIPVisionModel,
        data: TowerData,
        held_out: TowerData,
        *,
        batch: int = 64,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.tower, self.data, self.held_out = tower, data, held_out
        self.batch, self.seed, self.device = batch, seed, torch.device(device)
        self.head = DenseHead(tower.config.hidden_size)
        parts = nn.ModuleDict({"tower": tower, "head": self.head})
        self.module: nn.Module = parts.to(self.device)
        matrices = [p for n, p in tower.named_parameters() if p.ndim == 2 and "encoder" in n]
        chosen = {id(p) for p in matrices}
        others = [p for p in self.module.parameters() if id(p) not in chosen]
        self.optimisers = muon_and_adamw(matrices, others, muon_lr=0.02, adam_lr=1.5e-3)

    def loss(self, step: int) -> Tensor:
        """The loss on a batch drawn by seed and step, with a random shift in brightness."""
        rng = np.random.default_rng((self.seed, step))
        rows = rng.integers(0, len(self.data.pictures), self.batch)
        pixels = self._pixels(self.data.pictures[rows])
        pixels = pixels * float(rng.uniform(0.9, 1.1)) + float(rng.uniform(-0.1, 0.1))
        return self._loss(pixels, self.data.labels[rows], self.data.offsets[rows])

    def evaluate(self) -> dict[str, float]:
        """Share of held-out things whose label is right at their centre, per label."""
        self.module.eval()
        right = dict.fromkeys(ATTRIBUTES, 0)
        number = false_centres = 0
        with torch.inference_mode():
            for start in range(0, len(self.held_out.pictures), 100):
                part = slice(start, start + 100)
                labels = torch.from_numpy(self.held_out.labels[part])
                pixels = self._pixels(self.held_out.pictures[part])
                logits, _ = self.head(patch_features(self.tower, pixels))
                at_centre = labels[..., LABELS.index("centre")] == 1
                number += int(at_centre.sum())
                found = logits["centre"].argmax(-1).cpu() == 1
                false_centres += int((found != at_centre).sum())
                for column, name in enumerate(ATTRIBUTES):
                    guess = logits[name].argmax(-1).cpu()
                    right[name] += int((guess == labels[..., column])[at_centre].sum())
        self.module.train()
        figures = {name: count / max(number, 1) for name, count in right.items()}
        return {**figures, "centre_errors": false_centres / max(number, 1)}

    def _pixels(self, pictures: NDArray[np.uint8]) -> Tensor:
        return normalise(torch.from_numpy(np.array(pictures)).to(self.device))

    def _loss(
        self, pixels: Tensor, labels: NDArray[np.int64], offsets: NDArray[np.float32]
    ) -> Tensor:
        target = torch.from_numpy(labels).to(self.device)
        logits, offset = self.head(patch_features(self.tower, pixels))
        total = torch.zeros((), device=self.device)
        for column, name in enumerate(LABELS):
            total = total + F.cross_entropy(
                logits[name].flatten(0, 1).float(),
                target[..., column].flatten(),
                ignore_index=IGNORED,
            )
        shows = (target[..., 0] != PAGE).unsqueeze(-1)
        error = (offset - torch.from_numpy(offsets).to(self.device)) ** 2 * shows
        loss: Tensor = total + 50.0 * error.sum() / shows.sum().clamp(min=1) / 2
        return loss
