"""Scenes drawn as pictures. The same scene always gives the same pixels."""

from __future__ import annotations

import argparse
import colorsys
import io
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from training.scenes import COLOURS, KINDS, SIZES, Scene, Thing
from training.shapes import SHAPES, Colour, Pen

HUES = {
    "red": (0.0, 0.88, 0.86),
    "orange": (0.085, 0.95, 0.98),
    "yellow": (0.15, 0.92, 0.95),
    "green": (0.36, 0.80, 0.66),
    "blue": (0.60, 0.85, 0.85),
    "purple": (0.76, 0.72, 0.68),
    "pink": (0.92, 0.42, 1.0),
    "black": (0.0, 0.0, 0.09),
}
"""Hue, saturation, value in 0..1 of each colour name; shades vary a little around it."""
HUE_SPREAD = {"red": 0.012, "orange": 0.012, "yellow": 0.012, "pink": 0.015}
SUPERSAMPLING = 3


def draw(scene: Scene, pixels: int = 96) -> NDArray[np.uint8]:
    """The picture of a scene: uint8 (pixels, pixels, 3)."""
    return np.asarray(draw_image(scene, pixels))


def draw_image(scene: Scene, pixels: int = 96) -> Image.Image:
    """The picture of a scene, RGB, ``pixels`` wide and high."""
    rng = np.random.default_rng(scene.seed)
    if scene.nothing:
        return _finish(NOTHINGS[scene.nothing](scene, pixels, rng), scene, rng)
    scale = 1 if scene.finish == "jagged" else SUPERSAMPLING
    size = pixels * scale
    image, page = _background(scene.background, size, rng)
    pencil = ImageDraw.Draw(image)
    for thing in scene.things:
        _draw_thing(pencil, thing, size, page, scene.background == "dark", rng)
    if scale > 1:
        image = image.reduce(scale)
    if scene.background == "noisy":
        image = _speckle(image, rng)
    return _finish(image, scene, rng)


def _draw_thing(
    pencil: ImageDraw.ImageDraw,
    thing: Thing,
    size: int,
    page: Colour,
    dark: bool,
    rng: np.random.Generator,
) -> None:
    main, detail = shades(thing.colour, dark, rng)
    SHAPES[thing.kind](
        Pen(
            pencil,
            thing.x * size,
            thing.y * size,
            thing.radius * size,
            math.radians(rng.uniform(-8, 8)),
            main,
            detail,
            page,
            thing.filled,
        )
    )


def shades(name: str, bright: bool, rng: np.random.Generator) -> tuple[Colour, Colour]:
    """A shade that goes by the colour's name, and a darker or lighter one for details."""
    hue, saturation, value = HUES[name]
    if name == "black":
        level = float(rng.uniform(0.0, 0.13))
        return _rgb(0, 0, level), _rgb(0, 0, level + 0.35)
    spread = HUE_SPREAD.get(name, 0.02)
    hue = (hue + float(rng.uniform(-spread, spread))) % 1.0
    saturation = min(1.0, saturation * float(rng.uniform(0.9, 1.06)))
    value = min(1.0, value * float(rng.uniform(0.92, 1.08)) * (1.12 if bright else 1.0))
    return _rgb(hue, saturation, value), _rgb(hue, saturation, value * 0.55)


def _rgb(hue: float, saturation: float, value: float) -> Colour:
    r, g, b = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * r), round(255 * g), round(255 * b)


# --- backgrounds and finishes ---------------------------------------------------------------------


def _page_colour(kind: str, rng: np.random.Generator) -> NDArray[np.float64]:
    if kind == "dark":
        return np.asarray(rng.uniform(20, 62, 3))
    if rng.random() < 0.35:
        return np.full(3, 255.0)
    return np.asarray(rng.uniform(212, 255) - rng.uniform(0, 22, 3))


def _background(kind: str, size: int, rng: np.random.Generator) -> tuple[Image.Image, Colour]:
    page = _page_colour(kind, rng)
    colour: Colour = (int(page[0]), int(page[1]), int(page[2]))
    if kind == "graded" or (kind == "dark" and rng.random() < 0.4):
        return _gradient(page, size, rng), colour
    return Image.new("RGB", (size, size), colour), colour


def _gradient(page: NDArray[np.float64], size: int, rng: np.random.Generator) -> Image.Image:
    change = rng.uniform(-30, 30, 3)
    angle = rng.uniform(0, 2 * math.pi)
    axis = np.linspace(-0.5, 0.5, 24)
    slope = math.cos(angle) * axis[None, :] + math.sin(angle) * axis[:, None]
    small = np.clip(page + slope[..., None] * change, 0, 255).astype(np.uint8)
    return Image.fromarray(small).resize((size, size), Image.Resampling.BILINEAR)


def _speckle(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    noise = rng.normal(0, rng.uniform(4, 16), (image.height, image.width, 1))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def _finish(image: Image.Image, scene: Scene, rng: np.random.Generator) -> Image.Image:
    if scene.finish != "jpeg":
        return image
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(rng.integers(35, 85)))
    return Image.open(buffer).convert("RGB")


# --- pictures of nothing known --------------------------------------------------------------------


def _blank(scene: Scene, pixels: int, rng: np.random.Generator) -> Image.Image:
    if rng.random() < 0.5:
        return _background(scene.background, pixels, rng)[0]
    page = rng.uniform(0, 255, 3)
    if rng.random() < 0.5:
        return _gradient(page, pixels, rng)
    return Image.new("RGB", (pixels, pixels), (int(page[0]), int(page[1]), int(page[2])))


def _noise(scene: Scene, pixels: int, rng: np.random.Generator) -> Image.Image:
    form = rng.integers(0, 4)
    if form == 0:
        values = rng.integers(0, 256, (pixels, pixels, 3))
    elif form == 1:
        values = np.repeat(rng.integers(0, 256, (pixels, pixels, 1)), 3, 2)
    elif form == 2:
        grain = int(rng.integers(3, 25))
        coarse = rng.integers(0, 256, (grain, grain, 3)).astype(np.uint8)
        return Image.fromarray(coarse).resize((pixels, pixels), Image.Resampling.BICUBIC)
    else:
        period, angle = rng.uniform(4, 24), rng.uniform(0, math.pi)
        axis = np.arange(pixels)
        wave = np.sin((math.cos(angle) * axis + math.sin(angle) * axis[:, None]) * 6.28 / period)
        ends = rng.uniform(0, 255, (2, 3))
        values = ends[0] + (wave[..., None] + 1) / 2 * (ends[1] - ends[0])
    return Image.fromarray(values.astype(np.uint8))


def _fractal(pixels: int, rng: np.random.Generator, smooth: float) -> NDArray[np.float64]:
    """Noise with energy falling off by frequency as in photographs, in 0..1."""
    frequency = np.hypot(np.fft.fftfreq(pixels)[:, None], np.fft.rfftfreq(pixels)[None])
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.normal(size=(pixels, pixels))) / frequency**smooth
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, s=(pixels, pixels))
    return np.asarray((field - field.min()) / (np.ptp(field) + 1e-9))


def _photo(scene: Scene, pixels: int, rng: np.random.Generator) -> Image.Image:
    """Statistics of a photograph: sky and land or a texture, soft light, vignette and grain."""
    palette = rng.uniform(10, 245, (3, 3))
    if rng.random() < 0.5:
        palette = palette * 0.4 + palette.mean(1, keepdims=True) * 0.6
    height = np.linspace(0, 1, pixels)[:, None]
    texture = _fractal(pixels, rng, rng.uniform(0.9, 2.2))[..., None]
    if rng.random() < 0.6:
        ridge = rng.uniform(0.3, 0.7) + 0.3 * (_fractal(pixels, rng, 2.0)[0] - 0.5)
        land = (height > ridge[None])[..., None]
        sky = palette[0] * (1 - 0.4 * height[..., None]) + 40 * (texture - 0.5)
        values = np.where(land, palette[1] * (0.4 + texture), sky)
    else:
        values = palette[0] * (1 - texture) + palette[1] * texture
        blobs = _fractal(pixels, rng, 2.4)[..., None]
        values = np.where(blobs > rng.uniform(0.5, 0.8), palette[2] * (0.5 + texture / 2), values)
    axis = np.linspace(-1, 1, pixels)
    light = 1 - rng.uniform(0, 0.4) * (axis[None] ** 2 + axis[:, None] ** 2)[..., None] / 2
    grain = rng.normal(0, rng.uniform(0, 10), (pixels, pixels, 1))
    image = Image.fromarray(np.clip(values * light + grain, 0, 255).astype(np.uint8))
    return image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 1.2))))


def _scribble(scene: Scene, pixels: int, rng: np.random.Generator) -> Image.Image:
    """Loose strokes in any colour."""
    image, _ = _background(scene.background, 2 * pixels, rng)
    pencil = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(1, 7))):
        ink = rng.integers(0, 256, 3)
        colour: Colour = (int(ink[0]), int(ink[1]), int(ink[2]))
        start = rng.uniform(0, 2 * pixels, 2)
        steps = rng.normal(0, pixels * rng.uniform(0.1, 0.4), (int(rng.integers(2, 9)), 2))
        points = [(float(x), float(y)) for x, y in start + np.cumsum(steps, 0)]
        pencil.line(points, colour, int(rng.integers(1, 7)), joint="curve")
    return image.reduce(2)


NOTHINGS = {"blank": _blank, "noise": _noise, "photo": _photo, "scribble": _scribble}


# --- looking at it --------------------------------------------------------------------------------


def contact_sheet(pixels: int = 96) -> Image.Image:
    """Every kind (columns) in small, medium and large, filled and outlined, in changing colours."""
    rows = [(size, filled) for size in SIZES for filled in (True, False)] + [("large", True)] * 2
    sheet = Image.new("RGB", (len(KINDS) * pixels, len(rows) * pixels), "white")
    radius = {"small": 0.07, "medium": 0.115, "large": 0.17}
    for row, (size, filled) in enumerate(rows):
        for column, kind in enumerate(KINDS):
            colour = COLOURS[(row + column) % len(COLOURS)]
            things = [
                Thing(kind, colour, size, x, y, radius[size], filled)
                for x, y in ((0.25, 0.25), (0.7, 0.7))
            ]
            background = ("plain", "graded", "noisy", "dark")[row % 4]
            if background == "dark" and colour == "black":
                background = "plain"
            scene = Scene(
                tuple(things), background, ("sharp", "jagged")[column % 2], row * 99 + column
            )
            sheet.paste(draw_image(scene, pixels), (column * pixels, row * pixels))
    return sheet


def main() -> None:
    """``python -m training.drawing --sheet FILE.png`` writes a contact sheet."""
    parser = argparse.ArgumentParser(prog="python -m training.drawing")
    parser.add_argument("--sheet", type=Path, required=True, help="PNG file to write")
    contact_sheet().save(parser.parse_args().sheet)


if __name__ == "__main__":
    main()
