"""What lies behind the things (backgrounds) and over the whole picture (grain, finishes)."""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image

from training.shapes import Colour

STEPS = 24
"""Gradients are computed on this many steps a side, then enlarged."""


def plain(colour: Colour, size: int) -> Image.Image:
    """A page of one colour, ``size`` pixels wide and high."""
    return Image.new("RGB", (size, size), colour)


def graded(start: Colour, end: Colour, size: int, rng: np.random.Generator) -> Image.Image:
    """A page that goes from one colour to the other, in any direction or from the middle out."""
    axis = np.linspace(-1, 1, STEPS)
    angle = rng.uniform(0, 2 * math.pi)
    share = math.cos(angle) * axis[None] + math.sin(angle) * axis[:, None]
    if rng.random() < 0.25:
        share = np.hypot(axis[None], axis[:, None])
    share = (share - share.min()) / np.ptp(share)
    colours = np.array(start) + share[..., None] * (np.array(end) - np.array(start))
    small = Image.fromarray(colours.astype(np.uint8))
    return small.resize((size, size), Image.Resampling.BILINEAR)


def add_grain(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The picture with random specks, grey or coloured, weak to strong."""
    channels = 1 if rng.random() < 0.6 else 3
    grain = rng.normal(0, rng.uniform(4, 17), (image.height, image.width, channels))
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))


def finish_picture(image: Image.Image, finish: str, rng: np.random.Generator) -> Image.Image:
    """A real JPEG round trip (quality 35 to 85) for "jpeg"; other finishes leave it as it is."""
    if finish != "jpeg":
        return image
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(rng.integers(35, 86)))
    return Image.open(buffer).convert("RGB")
