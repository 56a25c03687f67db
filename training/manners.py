"""The same scenes drawn wholly in one manner: for evaluation only.

The other renderer and large pictures never occur in training; outlines, dark pages and JPEG occur
there among others. Each manner changes one thing and leaves the scene's symbols as they are, so
that the questions and their right answers stay the same.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace

from PIL import Image

from training.contours import draw_contours
from training.drawing import draw_image
from training.scenes import Scene

PIXELS = 96
QUALITY = 50
LARGE = 1024


@dataclass(frozen=True)
class Manner:
    """A way to draw, in words, and for which scenes it makes sense."""

    words: str
    draw: Callable[[Scene], Image.Image]
    fits: Callable[[Scene], bool] = lambda scene: True


def _as_trained(scene: Scene) -> Image.Image:
    return draw_image(scene, PIXELS)


def _other_renderer(scene: Scene) -> Image.Image:
    if scene.nothing is not None:
        return draw_image(replace(scene, finish="sharp"), PIXELS)
    return draw_contours(scene, PIXELS)


def _outlines(scene: Scene) -> Image.Image:
    things = tuple(replace(thing, filled=False) for thing in scene.things)
    return draw_image(replace(scene, things=things), PIXELS)


def _dark(scene: Scene) -> Image.Image:
    return draw_image(replace(scene, background="dark"), PIXELS)


def _jpeg(scene: Scene) -> Image.Image:
    buffer = io.BytesIO()
    draw_image(replace(scene, finish="sharp"), PIXELS).save(buffer, "JPEG", quality=QUALITY)
    return Image.open(buffer).convert("RGB")


def _large(scene: Scene) -> Image.Image:
    """Without smoothing: the processor scales it down to a tenth."""
    return draw_image(replace(scene, finish="jagged"), LARGE)


def _without_black(scene: Scene) -> bool:
    """Black things cannot be seen on a dark page."""
    return all(thing.colour != "black" for thing in scene.things)


AS_TRAINED = "as trained"
MANNERS: dict[str, Manner] = {
    AS_TRAINED: Manner("drawn as in training", _as_trained),
    "renderer": Manner("another renderer: other proportions, colours, edges", _other_renderer),
    "outlines": Manner("outlines only", _outlines),
    "dark": Manner("dark pages", _dark, _without_black),
    "jpeg": Manner(f"JPEG of quality {QUALITY}", _jpeg),
    "large": Manner(f"{LARGE} x {LARGE} pixels", _large),
}
"""The first is what the others are compared with."""
