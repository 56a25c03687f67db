"""A vision tower for pictures of another size: its learnt positions, interpolated.

An Image is Worth 16x16 Words (https://arxiv.org/abs/2010.11929, section 3.2) does so for absolute
positions, Segment Anything's image encoder for relative ones.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel

from llava_core.errors import CheckpointError


def resize_positions(
    model: PreTrainedModel, image_size: int, *, by_itself: bool = False
) -> PreTrainedModel:
    """The same tower for pictures of ``image_size`` pixels a side.

    A tower that interpolates ``by_itself``, picture by picture, stays as it is.
    Raises :class:`CheckpointError` where that is not a whole number of patches.
    """
    config: Any = copy.deepcopy(model.config)
    if image_size < config.patch_size or image_size % config.patch_size:
        raise CheckpointError(
            f"image_size is {image_size}, and a patch has {config.patch_size} pixels",
            f"Use a multiple of {config.patch_size}.",
        )
    if by_itself:
        return model
    config.image_size = image_size
    build: Any = type(model)._from_config
    resized: PreTrainedModel = build(config, dtype=model.dtype)
    new_shapes = {name: value.shape for name, value in resized.state_dict().items()}
    state = {
        name: value if value.shape == new_shapes[name] else _fitted(name, value, new_shapes[name])
        for name, value in model.state_dict().items()
    }
    resized.load_state_dict(state)
    resized.train(False)
    return resized


def _fitted(name: str, value: Tensor, shape: torch.Size) -> Tensor:
    """Positions for another number of patches: ``shape`` is (1, H, W, d) or (N, d)."""
    if name.endswith(("rel_pos_h", "rel_pos_w")):  # (distances, d)
        line = F.interpolate(value.float().T[None], size=shape[0], mode="linear")
        return line[0].T.to(value.dtype)
    if value.ndim == 4:
        return _fitted_grid(value, shape[1])
    side, new_side = int(len(value) ** 0.5), int(shape[0] ** 0.5)
    leading = len(value) - side * side  # CLS has a position of its own
    grid = _fitted_grid(value[leading:].view(1, side, side, -1), new_side)
    return torch.cat([value[:leading], grid.flatten(0, 2)])


def _fitted_grid(grid: Tensor, side: int) -> Tensor:
    """(1, H, W, d) -> (1, side, side, d)."""
    planes = grid.permute(0, 3, 1, 2).float()
    made = F.interpolate(planes, size=(side, side), mode="bicubic", antialias=True)
    return made.permute(0, 2, 3, 1).to(grid.dtype)
