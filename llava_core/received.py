"""A picture as the model receives it: what the image processor made of it, made visible again.

``pixel_values`` are turned back into colours: the same squares, cropped, padded or cut into tiles,
that the vision tower is given (LLaVA-1.5: one; LLaVA-NeXT's anyres: the whole picture, then tiles).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from transformers.image_processing_utils import select_best_resolution

from llava_core.views import View, view_of


@dataclass(frozen=True)
class Received:
    """``frames``: the squares that the tower is given, the whole picture first, then its tiles row
    by row, ``columns`` of them in a row (0: no tiles). ``view``: what the first one shows."""

    frames: tuple[Image.Image, ...]
    columns: int
    view: View
    visual_tokens: int


def received(image_processor: Any, picture: Image.Image, pixels: Any, tokens: int) -> Received:
    """What ``pixels``, the processor's pixel values of this one picture, look like; they are
    (1, 3, H, W), or (1, tiles + 1, 3, H, W)."""
    values = np.asarray(pixels, dtype=np.float32)
    values = values.reshape(-1, *values.shape[-3:])
    frames = tuple(Image.fromarray(colours(image_processor, each)) for each in values)
    columns = _columns(image_processor, picture, values.shape[-1]) if len(frames) > 1 else 0
    return Received(frames, columns, view_of(image_processor, *picture.size), tokens)


def colours(image_processor: Any, values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Pixel values (3, H, W) as colours (H, W, 3), normalisation and scaling undone."""
    if image_processor.do_normalize:
        mean, std = (
            np.asarray(numbers, dtype=np.float32)[:, None, None]
            for numbers in (image_processor.image_mean, image_processor.image_std)
        )
        values = values * std + mean
    if image_processor.do_rescale:
        values = values / image_processor.rescale_factor
    return np.clip(values.round(), 0, 255).astype(np.uint8).transpose(1, 2, 0)


def _columns(image_processor: Any, picture: Image.Image, side: int) -> int:
    """Tiles in a row, as the processor chose them among its grids."""
    sizes = getattr(image_processor, "image_grid_pinpoints", None)
    if not sizes:
        return 0
    _, width = select_best_resolution((picture.height, picture.width), sizes)
    return max(1, int(width) // side)
