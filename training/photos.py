"""Pictures with the statistics of photographs, made by rule: no outside pictures are needed.

Spectra that fall off as in natural images (Field 1987, https://doi.org/10.1364/JOSAA.4.002379) and
overlapping surfaces of all sizes (dead leaves: Lee, Mumford and Huang 2001,
https://doi.org/10.1023/A:1011109015675), under soft light, with blur, vignette and grain.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Field = NDArray[np.float64]
"""(pixels, pixels) in 0..1, or (pixels, pixels, 3) in 0..255."""

NATURAL_HUES = (0.05, 0.08, 0.11, 0.22, 0.30, 0.36, 0.52, 0.58, 0.62)
"""Earth, skin, sand, grass, leaves, water, sky."""
SKY_HUES = (0.05, 0.08, 0.11, 0.52, 0.56, 0.58, 0.60, 0.62)


def photo(pixels: int, rng: np.random.Generator) -> Image.Image:
    """A photograph-like picture of nothing in particular, ``pixels`` wide and high."""
    values = _SUBJECTS[int(rng.integers(0, len(_SUBJECTS)))](pixels, rng)
    image = Image.fromarray(np.clip(_lit(values, rng), 0, 255).astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 0.012)) * pixels))
    grain = rng.normal(0, rng.uniform(0, 9), (pixels, pixels, 1))
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))


def fractal(pixels: int, rng: np.random.Generator, fall: float, stretch: float = 1.0) -> Field:
    """Noise whose amplitude falls with frequency to the power ``fall``: (pixels, pixels) in 0..1.

    ``stretch`` above 1 draws it out sideways, as on water.
    """
    rows, columns = np.fft.fftfreq(pixels)[:, None], np.fft.rfftfreq(pixels)[None]
    frequency = np.hypot(rows, stretch * columns)
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.normal(size=(pixels, pixels))) / frequency**fall
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, s=(pixels, pixels))
    return np.asarray((field - field.min()) / (np.ptp(field) + 1e-9))


def _tone(
    rng: np.random.Generator,
    low: float = 0.15,
    high: float = 0.95,
    hues: Sequence[float] = NATURAL_HUES,
) -> Field:
    """A natural colour, mostly of weak saturation: (3,) in 0..255."""
    hue = float(rng.choice(hues)) + float(rng.uniform(-0.03, 0.03))
    saturation = float(rng.beta(1.6, 3.2))
    return 255 * np.array(colorsys.hsv_to_rgb(hue % 1, saturation, float(rng.uniform(low, high))))


def _mix(start: Field, end: Field, share: Field) -> Field:
    """From ``start`` to ``end`` (colours or whole pictures) by ``share`` (pixels, pixels)."""
    return np.asarray(start + share[..., None] * (end - start))


def _lit(values: Field, rng: np.random.Generator) -> Field:
    """Soft light from one side, and darker corners."""
    axis = np.linspace(-1, 1, values.shape[0])
    turn = rng.uniform(0, 2 * math.pi)
    side = math.cos(turn) * axis[None] + math.sin(turn) * axis[:, None]
    corners = axis[None] ** 2 + axis[:, None] ** 2
    light = 1 + rng.uniform(0, 0.25) * side - rng.uniform(0, 0.25) * corners
    return values * light[..., None]


# --- subjects -------------------------------------------------------------------------------------


def _landscape(pixels: int, rng: np.random.Generator) -> Field:
    """Sky with clouds, and ridges one before the other, hazier the farther away."""
    heights = np.linspace(0, 1, pixels)[:, None]
    clouds = fractal(pixels, rng, 1.8, stretch=2.5)
    above, below = _tone(rng, 0.6, 1.0, SKY_HUES), _tone(rng, 0.7, 1.0, SKY_HUES)
    values = _mix(above, below, np.repeat(heights, pixels, 1))
    white = np.clip((clouds - rng.uniform(0.4, 0.8)) * 3, 0, 1) * rng.uniform(0, 0.9)
    values = _mix(values, np.full(3, 245.0), white)
    line = rng.uniform(0.25, 0.6)
    for _ in range(int(rng.integers(1, 4))):
        ridge = line + rng.uniform(0.05, 0.35) * (fractal(pixels, rng, 2.2)[0] - 0.5)
        ground = _mix(_tone(rng), _tone(rng, 0.1, 0.6), fractal(pixels, rng, 1.2, stretch=1.5))
        values = np.where((heights > ridge[None])[..., None], ground, values)
        line += rng.uniform(0.1, 0.25)
    return values


def _surface(pixels: int, rng: np.random.Generator) -> Field:
    """Stone, cloth, bark, grass: one texture, with patches of another."""
    fall, stretch = rng.uniform(0.8, 1.8), rng.choice([1.0, 1.0, 4.0, 10.0])
    values = _mix(_tone(rng), _tone(rng), fractal(pixels, rng, fall, stretch))
    patches = np.clip((fractal(pixels, rng, 2.2) - rng.uniform(0.4, 0.8)) * 6, 0, 1)
    return _mix(values, values * rng.uniform(0.4, 1.4) + 0.3 * _tone(rng), patches)


def _water(pixels: int, rng: np.random.Generator) -> Field:
    """Ripples under a strip of sky."""
    ripples = fractal(pixels, rng, 1.3, stretch=rng.uniform(3, 10))
    values = _mix(_tone(rng, 0.1, 0.5), _tone(rng, 0.5, 1.0), ripples)
    horizon = int(rng.uniform(0, 0.5) * pixels)
    above, below = _tone(rng, 0.5, 1.0, SKY_HUES), _tone(rng, 0.7, 1.0, SKY_HUES)
    sky = _mix(above, below, fractal(pixels, rng, 2.2, stretch=3.0))
    values[:horizon] = sky[:horizon]
    return values


def _leaves(pixels: int, rng: np.random.Generator) -> Field:
    """Overlapping ragged surfaces of all sizes, each with its own tone and texture."""
    tones = [_tone(rng) for _ in range(int(rng.integers(3, 9)))]
    image = Image.fromarray(np.full((pixels, pixels, 3), tones[0]).astype(np.uint8))
    shade = Image.new("L", (pixels, pixels), 128)
    pencils = ImageDraw.Draw(image), ImageDraw.Draw(shade)
    for size in np.sort(np.exp(rng.uniform(math.log(0.04), math.log(0.6), 90)))[::-1]:
        points = _ragged(rng.uniform(-0.1, 1.1, 2), float(size), rng)
        placed = [(x * pixels, y * pixels) for x, y in points]
        tone = tones[int(rng.integers(0, len(tones)))] * rng.uniform(0.6, 1.2)
        red, green, blue = (int(part) for part in np.clip(tone, 0, 255))
        pencils[0].polygon(placed, fill=(red, green, blue))
        pencils[1].polygon(placed, fill=int(rng.integers(0, 255)))
    depth = np.asarray(shade) / 255
    texture = fractal(pixels, rng, rng.uniform(0.7, 1.5)) - 0.5
    return np.asarray(image) * (1 + (depth * texture)[..., None]) * (0.7 + 0.4 * depth[..., None])


def _ragged(
    centre: NDArray[np.float64], size: float, rng: np.random.Generator
) -> list[tuple[float, float]]:
    """A closed line with random corners and curves, drawn out in some direction."""
    corners = int(rng.integers(5, 12))
    turns = np.sort(rng.uniform(0, 2 * math.pi, corners))
    radii = size * rng.uniform(0.35, 1.0, corners)
    lean, thin = rng.uniform(0, math.pi), rng.uniform(0.3, 0.8)
    x, y = radii * np.cos(turns), thin * radii * np.sin(turns)
    xs = centre[0] + x * math.cos(lean) - y * math.sin(lean)
    ys = centre[1] + x * math.sin(lean) + y * math.cos(lean)
    return list(zip(xs.tolist(), ys.tolist(), strict=True))


def _subject(pixels: int, rng: np.random.Generator) -> Field:
    """Something rounded and ragged in focus, shaded from one side, on a ground out of focus."""
    values = _soft(_leaves(pixels, rng) if rng.random() < 0.5 else _surface(pixels, rng), 0.05)
    for _ in range(int(rng.integers(1, 4))):
        mask = Image.new("L", (pixels, pixels))
        points = _ragged(rng.uniform(0.2, 0.8, 2), float(rng.uniform(0.2, 0.55)), rng)
        ImageDraw.Draw(mask).polygon([(x * pixels, y * pixels) for x, y in points], fill=255)
        rounding = mask.filter(ImageFilter.GaussianBlur(0.06 * pixels))
        light = np.roll(np.asarray(rounding) / 255, rng.integers(-8, 9, 2), (0, 1))
        texture = fractal(pixels, rng, rng.uniform(1.0, 1.8))
        body = _mix(
            _tone(rng, 0.05, 0.4), _tone(rng, 0.5, 1.0), np.clip(light * (0.4 + texture), 0, 1)
        )
        edge = np.asarray(mask.filter(ImageFilter.GaussianBlur(0.008 * pixels))) / 255
        values = _mix(values, body, edge)
    return values


def _soft(values: Field, share: float) -> Field:
    image = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(share * image.width)), np.float64)


def _indoors(pixels: int, rng: np.random.Generator) -> Field:
    """Wall and floor in bare perspective with furniture-like masses cut off by the frame."""
    image = Image.fromarray(_soft(_surface(pixels, rng), 0.02).astype(np.uint8))
    pencil = ImageDraw.Draw(image)
    horizon, vanish = rng.uniform(0.4, 0.75), rng.uniform(-0.3, 1.3)
    floor = _tone(rng, 0.2, 0.7)
    _area(
        pencil, [(0, horizon), (1, horizon + rng.uniform(-0.1, 0.1)), (1, 1), (0, 1)], floor, pixels
    )
    for near in np.linspace(-2, 3, int(rng.integers(6, 16))).tolist():
        line = [(vanish * pixels, horizon * pixels), (near * pixels, pixels)]
        red, green, blue = (int(part) for part in floor * 0.8)
        pencil.line(line, fill=(red, green, blue), width=max(1, pixels // 96))
    for _ in range(int(rng.integers(1, 5))):
        left, top = rng.uniform(-0.2, 1.0), rng.uniform(-0.2, 0.9)
        wide, high, skew = rng.uniform(0.1, 0.6), rng.uniform(0.2, 0.9), rng.uniform(-0.12, 0.12)
        corners = [(left, top), (left + wide, top + skew)]
        corners += [(left + wide, top + high - skew), (left, top + high)]
        _area(pencil, corners, _tone(rng), pixels)
    texture = fractal(pixels, rng, 1.5)[..., None]
    return np.asarray(_soft(np.asarray(image, np.float64), 0.006) * (0.65 + 0.6 * texture))


def _area(
    pencil: ImageDraw.ImageDraw, corners: list[tuple[float, float]], tone: Field, pixels: int
) -> None:
    red, green, blue = (int(part) for part in tone)
    pencil.polygon([(x * pixels, y * pixels) for x, y in corners], fill=(red, green, blue))


_SUBJECTS: tuple[Callable[[int, np.random.Generator], Field], ...] = (
    _landscape,
    _surface,
    _water,
    _leaves,
    _subject,
    _indoors,
)
