"""Shades that go by a colour's name, and pages on which all of them can be told apart.

The ranges hold the web's named colours ("red", "green", "purple" ... of CSS), so that pictures made
elsewhere with plain colours are seen as they are called.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.shapes import Colour


@dataclass(frozen=True)
class Shade:
    """From..to of hue, saturation and value, each in 0..1 (hue wraps around at 1)."""

    hue: tuple[float, float]
    saturation: tuple[float, float]
    value: tuple[float, float]


SHADES = {
    "red": Shade((-0.012, 0.012), (0.82, 1.0), (0.78, 1.0)),
    "orange": Shade((0.068, 0.108), (0.86, 1.0), (0.93, 1.0)),
    "yellow": Shade((0.142, 0.168), (0.80, 1.0), (0.93, 1.0)),
    "green": Shade((0.32, 0.40), (0.70, 1.0), (0.48, 0.92)),
    "blue": Shade((0.57, 0.667), (0.74, 1.0), (0.72, 1.0)),
    "purple": Shade((0.735, 0.834), (0.62, 1.0), (0.48, 0.74)),
    "pink": Shade((0.89, 0.97), (0.26, 0.55), (0.95, 1.0)),
    "black": Shade((0.0, 1.0), (0.0, 0.1), (0.0, 0.13)),
}
LEAST_VALUE_ON_DARK = 0.8
MOST_SATURATION_ON_DARK = {"blue": 0.85, "purple": 0.85}
LEAST_CONTRAST = 85.0
"""Distance in RGB (0..255 each) between a thing and its page."""


def pick_shade(name: str, on_dark: bool, rng: np.random.Generator) -> tuple[Colour, Colour]:
    """A shade of the named colour, and a darker one for details (for black: a lighter one).

    On dark pages the shade is bright, black apart.
    """
    shade = SHADES[name]
    hue, saturation, value = (
        float(rng.uniform(*span)) for span in (shade.hue, shade.saturation, shade.value)
    )
    if name == "black":
        return _rgb(hue, saturation, value), _rgb(hue, saturation, value + 0.2)
    if on_dark:
        value = max(value, LEAST_VALUE_ON_DARK)
        saturation = min(saturation, MOST_SATURATION_ON_DARK.get(name, 1.0))
    return _rgb(hue, saturation, value), _rgb(hue, saturation, value * (0.65 if on_dark else 0.55))


def pick_page(dark: bool, inks: Sequence[Colour], rng: np.random.Generator) -> tuple[int, int, int]:
    """A page's colour that differs clearly from all ``inks``: white or a light tint, or dark."""
    for _ in range(12):
        page = _any_page(dark, rng)
        if all(math.dist(page, ink) >= LEAST_CONTRAST for ink in inks):
            return page
    return (84, 86, 96) if dark else (255, 255, 255)


def _any_page(dark: bool, rng: np.random.Generator) -> Colour:
    if dark:
        level, tint = rng.uniform(14, 48), rng.uniform(0, 26, 3)
    elif rng.random() < 0.35:
        return 255, 255, 255
    else:
        level, tint = rng.uniform(212, 255), -rng.uniform(0, 30, 3)
    red, green, blue = (int(part) for part in level + tint)
    return red, green, blue


def _rgb(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)
