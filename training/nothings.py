"""Pictures that show none of the fifteen kinds: blank pages, noise, photo-like ones, scribbles.

Without them a model learns that there is always something to name, and invents it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from training.pages import add_grain, graded, plain
from training.photos import photo
from training.scenes import COLOURS
from training.shades import pick_page, pick_shade
from training.shapes import Colour, Inks, Pen, Placement, Point, spread

LETTERS = "ABEFGHJKMNPRSUWYZabdeghkmnrswyz2345679?&"
"""Characters that resemble none of the kinds (no o, t, v, x, +, *)."""


def draw_nothing(kind: str, pixels: int, rng: np.random.Generator) -> Image.Image:
    """A picture of one of :data:`training.scenes.NOTHINGS`, ``pixels`` wide and high."""
    return _DRAW[kind](pixels, rng)


def _any_colour(rng: np.random.Generator) -> Colour:
    red, green, blue = (int(part) for part in rng.integers(0, 256, 3))
    return red, green, blue


def _blank(pixels: int, rng: np.random.Generator) -> Image.Image:
    form = rng.integers(0, 4)
    page = pick_page(bool(rng.random() < 0.3), [], rng)
    if form == 0:
        return graded(_any_colour(rng), _any_colour(rng), pixels, rng)
    if form == 1:
        return plain(_any_colour(rng), pixels)
    if form == 2:
        return add_grain(plain(page, pixels), rng)
    return plain(page, pixels)


# --- noise ----------------------------------------------------------------------------------------


def _noise(pixels: int, rng: np.random.Generator) -> Image.Image:
    """White noise in colour or grey, soft blotches, or stripes."""
    form = rng.integers(0, 4)
    if form == 0:
        return Image.fromarray(rng.integers(0, 256, (pixels, pixels, 3), dtype=np.uint8))
    if form == 1:
        grey = rng.integers(0, 256, (pixels, pixels, 1), dtype=np.uint8)
        return Image.fromarray(np.repeat(grey, 3, 2))
    if form == 2:
        side = int(rng.integers(3, 33))
        coarse = Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
        method = Image.Resampling.BICUBIC if rng.random() < 0.7 else Image.Resampling.NEAREST
        return coarse.resize((pixels, pixels), method)
    return _stripes(pixels, rng)


def _stripes(pixels: int, rng: np.random.Generator) -> Image.Image:
    waves, angle = rng.uniform(3, 24), rng.uniform(0, math.pi)
    axis = np.linspace(0, 2 * math.pi, pixels)
    wave = np.sin(waves * (math.cos(angle) * axis[None] + math.sin(angle) * axis[:, None]))
    if rng.random() < 0.5:
        wave = np.sign(wave)
    start, end = np.array(_any_colour(rng)), np.array(_any_colour(rng))
    colours = start + (wave[..., None] + 1) / 2 * (end - start)
    return Image.fromarray(colours.astype(np.uint8))


# --- scribbles ------------------------------------------------------------------------------------


def _scribble(pixels: int, rng: np.random.Generator) -> Image.Image:
    """Loose strokes, writing, and shapes that have no name in this world."""
    size = 2 * pixels
    dark = bool(rng.random() < 0.25)
    page = pick_page(dark, [], rng)
    image = plain(page, size)
    pencil = ImageDraw.Draw(image)
    if rng.random() < 0.15:
        _lines_of_text(pencil, size, page, dark, rng)
    else:
        for _ in range(int(rng.integers(1, 6))):
            pen = _pen(pencil, size, page, dark, rng)
            _MARKS[int(rng.integers(0, len(_MARKS)))](pen, rng)
    image = image.reduce(2)
    return add_grain(image, rng) if rng.random() < 0.25 else image


def _ink(page: Colour, dark: bool, rng: np.random.Generator) -> Colour:
    for _ in range(8):
        name = COLOURS[int(rng.integers(0, len(COLOURS)))]
        ink = pick_shade(name, dark, rng)[0] if rng.random() < 0.8 else _any_colour(rng)
        if math.dist(ink, page) > 80:
            return ink
    return (255, 255, 255) if dark else (20, 20, 20)


def _pen(
    pencil: ImageDraw.ImageDraw, size: int, page: Colour, dark: bool, rng: np.random.Generator
) -> Pen:
    radius = float(rng.uniform(0.08, 0.3))
    x, y = (float(v) * size for v in rng.uniform(radius, 1 - radius, 2))
    angle = float(rng.uniform(-math.pi, math.pi))
    ink = _ink(page, dark, rng)
    place = Placement(x, y, radius * size, angle, mirrored=bool(rng.random() < 0.5))
    return Pen(pencil, place, Inks(ink, ink, page), line=float(rng.uniform(0.06, 0.25)))


def _strokes(pen: Pen, rng: np.random.Generator) -> None:
    steps = rng.normal(0, rng.uniform(0.3, 0.9), (int(rng.integers(2, 10)), 2))
    pen.stroke([(float(x), float(y)) for x, y in np.cumsum(steps, 0)], pen.line)


def _zigzag(pen: Pen, rng: np.random.Generator) -> None:
    corners = int(rng.integers(4, 9))
    high = float(rng.uniform(0.2, 0.5))
    across = np.linspace(-1, 1, corners).tolist()
    pen.stroke([(x, high * (-1) ** i) for i, x in enumerate(across)], pen.line)


def _wave(pen: Pen, rng: np.random.Generator) -> None:
    turns = float(rng.uniform(1, 3)) * math.pi
    across = np.linspace(-1, 1, 40).tolist()
    pen.stroke([(x, 0.4 * math.sin(turns * x)) for x in across], pen.line)


def _spiral(pen: Pen, rng: np.random.Generator) -> None:
    turns = float(rng.uniform(1.8, 3)) * 2 * math.pi
    shares = np.linspace(0.08, 1, 70).tolist()
    points = [(s * math.cos(turns * s), s * math.sin(turns * s)) for s in shares]
    pen.stroke(points, min(pen.line, 0.12))


def _arrow(pen: Pen, rng: np.random.Generator) -> None:
    half = float(rng.uniform(0.04, 0.1))
    pen.stroke([(-1, 0), (0.9, 0)], 2 * half)
    pen.stroke([(0.45, -0.4), (0.95, 0), (0.45, 0.4)], 2 * half)


def _crescent(pen: Pen, rng: np.random.Generator) -> None:
    pen.spot((0, 0), 0.9, pen.inks.main)
    pen.spot((float(rng.uniform(0.45, 0.6)), 0), 0.85, pen.inks.page)


def _bolt(pen: Pen, rng: np.random.Generator) -> None:
    upper: list[Point] = [(-0.1, -1), (0.4, -1), (0.1, -0.25), (0.5, -0.25)]
    pen.body([*upper, (-0.35, 1), (-0.05, 0.05), (-0.45, 0.05)])


def _hatching(pen: Pen, rng: np.random.Generator) -> None:
    for x in np.linspace(-1, 1, int(rng.integers(4, 8))).tolist():
        pen.stroke([(x - 0.25, -0.8), (x + 0.25, float(rng.uniform(0.5, 0.9)))], 0.07)


def _crossing(pen: Pen, rng: np.random.Generator) -> None:
    """Long thin lines over the picture, at any angle but a right one."""
    for turn in rng.uniform(0.2, 1.1, int(rng.integers(2, 5))).cumsum().tolist():
        x, y = 4 * math.cos(turn), 4 * math.sin(turn)
        pen.stroke([(-x, -y), (x, y)], 0.05)


def _amoeba(pen: Pen, rng: np.random.Generator) -> None:
    """A blob with a few deep bays."""
    number = 72
    turns = np.linspace(0, 2 * math.pi, number, endpoint=False)
    radii = np.full(number, 0.6)
    for lobes, bump in ((2, 0.3), (3, 0.16), (5, 0.12)):
        radii += bump * np.sin(lobes * turns + rng.uniform(0, 2 * math.pi))
    pen.body([(r * x, r * y) for r, (x, y) in zip(radii.tolist(), spread(number, 1), strict=True)])


def _letter(pen: Pen, rng: np.random.Generator) -> None:
    place = pen.placement
    text = "".join(rng.choice(list(LETTERS), int(rng.integers(1, 4))).tolist())
    font = ImageFont.load_default(max(10.0, 1.6 * place.radius))
    pen.draw.text((place.x, place.y), text, pen.inks.main, font, anchor="mm")


_MARKS: tuple[Callable[[Pen, np.random.Generator], None], ...] = (
    _strokes,
    _strokes,
    _zigzag,
    _wave,
    _spiral,
    _arrow,
    _crescent,
    _bolt,
    _hatching,
    _crossing,
    _amoeba,
    _letter,
    _letter,
)


def _lines_of_text(
    pencil: ImageDraw.ImageDraw, size: int, page: Colour, dark: bool, rng: np.random.Generator
) -> None:
    height = float(rng.uniform(0.06, 0.14)) * size
    font = ImageFont.load_default(height)
    ink = _ink(page, dark, rng)
    top = float(rng.uniform(0.02, 0.3)) * size
    for line in range(int(rng.integers(2, 9))):
        words = ["".join(rng.choice(list(LETTERS), n).tolist()) for n in rng.integers(1, 8, 4)]
        spot = (0.06 * size, top + 1.4 * height * line)
        pencil.text(spot, " ".join(words), ink, font)


_DRAW: dict[str, Callable[[int, np.random.Generator], Image.Image]] = {
    "blank": _blank,
    "noise": _noise,
    "photo": photo,
    "scribble": _scribble,
}
