"""Which part of a picture a vision tower sees at once: cropped, padded or stretched to a square.

Processors say it in many settings, so it is measured: a picture whose colours tell their places is
given to the processor, and what comes out tells where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

View = tuple[float, float, float, float]
"""Left, top, right, bottom in fractions of the picture: below 0 and above 1 in what is padded."""
WHOLE: View = (0.0, 0.0, 1.0, 1.0)
_PROBE = 256
"""Pixels of the probe's longer side: colours have no more steps."""
_NARROW = 16
"""A picture so much longer than wide leaves too few pixels to measure: it counts as whole."""


def view_of(image_processor: Any, width: int, height: int) -> View:
    """What the whole view of a picture of this size shows, before any tiles; to about 1%."""
    if max(width, height) > _NARROW * min(width, height):
        return WHOLE
    scale = _PROBE / max(width, height)
    size = round(width * scale), round(height * scale)
    made = image_processor([_probe(*size)], return_tensors="np")["pixel_values"]
    seen = np.asarray(made, dtype=np.float64)
    seen = seen.reshape(-1, *seen.shape[-3:])[0]
    if image_processor.do_normalize:
        seen = seen * _column(image_processor.image_std) + _column(image_processor.image_mean)
    across, down, inside = seen
    inner = inside > 0.995  # padding has another colour
    columns, rows = inner[inner.any(1)].all(0), inner[:, inner.any(0)].all(1)
    horizontal = _ends(across[rows][:, columns].mean(0), columns)
    vertical = _ends(down[rows][:, columns].mean(1), rows)
    if horizontal is None or vertical is None:
        return WHOLE
    return (
        _fraction(horizontal[0]),
        _fraction(vertical[0]),
        _fraction(horizontal[1]),
        _fraction(vertical[1]),
    )


def _probe(width: int, height: int) -> Image.Image:
    """Red grows from left to right, green from the top; blue is full."""
    x = (np.arange(width) + 0.5) / width * 255
    y = (np.arange(height) + 0.5) / height * 255
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[..., 0] = x.round()[None, :]
    pixels[..., 1] = y.round()[:, None]
    return Image.fromarray(pixels)


def _ends(values: NDArray[np.float64], there: NDArray[np.bool_]) -> tuple[float, float] | None:
    """Where the outer edges of a row of pixels lie, by a straight line through its inner part."""
    places = np.flatnonzero(there) + 0.5
    cut = len(places) // 8  # resizing bends the line at the ends
    if len(places) - 2 * cut < 4:
        return None
    slope, start = np.polyfit(places[cut : -cut or None], values[cut : -cut or None], 1)
    return start, start + slope * len(there)


def _column(numbers: Sequence[float]) -> NDArray[np.float64]:
    return np.asarray(numbers, dtype=np.float64)[:, None, None]


def _fraction(value: float) -> float:
    return round(float(value), 2) + 0.0  # no -0.0
