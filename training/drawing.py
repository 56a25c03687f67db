"""Scenes drawn as pictures. The same scene always gives the same pixels.

``python -m training.drawing --sheet FILE.png`` writes a contact sheet of everything there is.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from training.nothings import draw_nothing
from training.pages import add_grain, finish_picture, graded, plain
from training.scenes import BACKGROUNDS, COLOURS, FINISHES, KINDS, NOTHINGS, RADII, Scene, Thing
from training.shades import pick_page, pick_shade
from training.shapes import SHAPES, Colour, Inks, Pen, Placement

SUPERSAMPLING = 4
TURN = math.radians(8)
"""Things are turned by up to this much, either way."""
SQUEEZE = 0.08
"""Things are made narrower or flatter by up to this share."""
LEAST_LINE = 0.0135
"""Thinnest outline, as a share of the canvas: 1.3 pixels of 96."""
MOST_LINE = 0.4
"""Thickest outline, as a share of a thing's half extent: even a tiny thing keeps its inside."""


def draw(scene: Scene, pixels: int = 96) -> NDArray[np.uint8]:
    """The picture of a scene: uint8 (pixels, pixels, 3)."""
    return np.asarray(draw_image(scene, pixels))


def draw_image(scene: Scene, pixels: int = 96) -> Image.Image:
    """The picture of a scene, RGB, ``pixels`` wide and high."""
    rng = np.random.default_rng(scene.seed)
    if scene.nothing is not None:
        return finish_picture(draw_nothing(scene.nothing, pixels, rng), scene.finish, rng)
    scale = 1 if scene.finish == "jagged" else SUPERSAMPLING
    image = _draw_things(scene, pixels * scale, rng)
    if scale > 1:
        image = image.reduce(scale)
    if scene.background == "noisy":
        image = add_grain(image, rng)
    return finish_picture(image, scene.finish, rng)


def _draw_things(scene: Scene, size: int, rng: np.random.Generator) -> Image.Image:
    dark = scene.background == "dark"
    shades = [pick_shade(thing.colour, dark, rng) for thing in scene.things]
    image = _page(scene.background, [main for main, _ in shades], size, rng)
    pencil = ImageDraw.Draw(image)
    for thing, (main, detail) in zip(scene.things, shades, strict=True):
        inks = Inks(main, detail, _colour_at(image, thing))
        SHAPES[thing.kind](_pen(pencil, thing, size, inks, rng))
    return image


def _page(background: str, inks: list[Colour], size: int, rng: np.random.Generator) -> Image.Image:
    dark = background == "dark"
    colour = pick_page(dark, inks, rng)
    if background == "graded" or (dark and rng.random() < 0.4):
        return graded(colour, pick_page(dark, inks, rng), size, rng)
    return plain(colour, size)


def _colour_at(image: Image.Image, thing: Thing) -> Colour:
    last = image.width - 1
    x, y = (min(max(round(place * last), 0), last) for place in (thing.x, thing.y))
    red, green, blue = np.asarray(image.getpixel((x, y))).tolist()
    return red, green, blue


def _pen(
    pencil: ImageDraw.ImageDraw, thing: Thing, size: int, inks: Inks, rng: np.random.Generator
) -> Pen:
    line = max(float(rng.uniform(0.15, 0.21)), min(LEAST_LINE / thing.radius, MOST_LINE))
    squeeze = float(rng.uniform(-SQUEEZE, SQUEEZE))
    placement = Placement(
        x=thing.x * size,
        y=thing.y * size,
        radius=thing.radius * size * (1.0 if thing.filled else 1 - line / 2),
        angle=float(rng.uniform(-TURN, TURN)),
        stretch=(1 - max(squeeze, 0.0), 1 + min(squeeze, 0.0)),
        mirrored=bool(rng.random() < 0.5),
    )
    return Pen(pencil, placement, inks, thing.filled, line, float(rng.random()))


# --- looking at it --------------------------------------------------------------------------------


def contact_sheet(pixels: int = 96) -> Image.Image:
    """Kinds (columns) by size, filled and outlined, in changing colours, backgrounds, finishes.

    The last row shows pictures of nothing known.
    """
    rows = [(size, filled) for size in RADII for filled in (True, False)]
    sheet = Image.new("RGB", (len(KINDS) * pixels, (2 * len(rows) + 1) * pixels), "white")
    for row, (size, filled) in enumerate(rows * 2):
        for column, kind in enumerate(KINDS):
            scene = _sample_pair(kind, size, filled, 1000 * row + column)
            sheet.paste(draw_image(scene, pixels), (column * pixels, row * pixels))
    for column in range(len(KINDS)):
        nothing = NOTHINGS[column % len(NOTHINGS)]
        scene = Scene((), "plain", "sharp", column, nothing)
        sheet.paste(draw_image(scene, pixels), (column * pixels, 2 * len(rows) * pixels))
    return sheet


def _sample_pair(kind: str, size: str, filled: bool, seed: int) -> Scene:
    colours = [COLOURS[(seed + step) % len(COLOURS)] for step in (seed // 1000, 4)]
    backgrounds = [b for b in BACKGROUNDS if b != "dark" or "black" not in colours]
    things = tuple(
        Thing(kind, colour, size, place, place, sum(RADII[size]) / 2, filled)
        for colour, place in zip(colours, (0.26, 0.72), strict=True)
    )
    background = backgrounds[seed // 3 % len(backgrounds)]
    return Scene(things, background, FINISHES[seed % len(FINISHES)], seed)


def main() -> None:
    """Command line: ``python -m training.drawing --sheet FILE.png``."""
    parser = argparse.ArgumentParser(prog="python -m training.drawing", description=__doc__)
    parser.add_argument("--sheet", type=Path, required=True, help="PNG file to write")
    contact_sheet().save(parser.parse_args().sheet)


if __name__ == "__main__":
    main()
