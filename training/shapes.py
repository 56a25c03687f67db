"""The fifteen kinds of things as polygons, discs and strokes on a unit canvas.

Every function draws around (0, 0) with half extent 1, y downwards, through a :class:`Pen`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from PIL import ImageDraw

Point = tuple[float, float]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Pen:
    """Draws unit shapes at a place, turned and scaled, in the thing's colours.

    ``main`` is the thing's colour, ``detail`` a darker or lighter shade of it, ``page`` the colour
    behind; ``filled`` False draws outlines of ``line`` (share of the half extent).
    """

    draw: ImageDraw.ImageDraw
    x: float
    y: float
    radius: float
    angle: float
    main: Colour
    detail: Colour
    page: Colour
    filled: bool
    line: float = 0.2

    def at(self, point: Point) -> Point:
        """A unit point on the canvas, in pixels."""
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        px, py = point
        return (
            self.x + self.radius * (px * cosine - py * sine),
            self.y + self.radius * (px * sine + py * cosine),
        )

    @property
    def width(self) -> int:
        """Line width in pixels, at least 1."""
        return max(1, round(self.radius * self.line))

    def polygon(self, points: list[Point], colour: Colour | None = None) -> None:
        """A closed shape: filled, or its outline when the thing is drawn as an outline."""
        placed = [self.at(point) for point in points]
        if self.filled or colour is not None:
            self.draw.polygon(placed, fill=colour or self.main)
        else:
            self.draw.line([*placed, placed[0], placed[1]], self.main, self.width, joint="curve")

    def disc(self, centre: Point, radius: float, colour: Colour | None = None) -> None:
        """A disc: filled, or its outline when the thing is drawn as an outline."""
        box = self._box(centre, radius)
        if self.filled or colour is not None:
            self.draw.ellipse(box, fill=colour or self.main)
        else:
            self.draw.ellipse(box, outline=self.main, width=self.width)

    def ring(self, centre: Point, radius: float, width: float) -> None:
        """A circle line of ``width`` (share of the half extent), never filled."""
        pixels = max(1, round(self.radius * width))
        self.draw.ellipse(self._box(centre, radius), outline=self.main, width=pixels)

    def stroke(self, points: list[Point], width: float, colour: Colour | None = None) -> None:
        """A line through ``points``; ``width`` as a share of the half extent."""
        pixels = max(1, round(self.radius * width))
        placed = [self.at(point) for point in points]
        self.draw.line(placed, colour or self.main, pixels, joint="curve")

    def _box(self, centre: Point, radius: float) -> tuple[float, float, float, float]:
        x, y = self.at(centre)
        size = radius * self.radius
        return (x - size, y - size, x + size, y + size)


def _turned(number: int, radius: float, start: float = -90.0) -> list[Point]:
    angles = [math.radians(start + 360 * i / number) for i in range(number)]
    return [(radius * math.cos(a), radius * math.sin(a)) for a in angles]


def circle(pen: Pen) -> None:
    pen.disc((0, 0), 0.95)


def square(pen: Pen) -> None:
    pen.polygon([(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)])


def triangle(pen: Pen) -> None:
    pen.polygon([(0, -1), (0.98, 0.8), (-0.98, 0.8)])


def star(pen: Pen) -> None:
    outer, inner = _turned(5, 1.0), _turned(5, 0.4, -54)
    pen.polygon([point for pair in zip(outer, inner, strict=True) for point in pair])


def heart(pen: Pen) -> None:
    points = []
    for step in range(40):
        t = 2 * math.pi * step / 40
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((x / 17, -(y + 2) / 16))
    pen.polygon(points)


def diamond(pen: Pen) -> None:
    pen.polygon([(0, -1), (0.66, 0), (0, 1), (-0.66, 0)])


def cross(pen: Pen) -> None:
    a, b = 0.32, 0.95
    pen.polygon(
        [(-a, -b), (a, -b), (a, -a), (b, -a), (b, a), (a, a)]
        + [(a, b), (-a, b), (-a, a), (-b, a), (-b, -a), (-a, -a)]
    )


def ring(pen: Pen) -> None:
    pen.ring((0, 0), 0.98, 0.42)
    if not pen.filled:
        pen.ring((0, 0), 0.98, 0.5)


def house(pen: Pen) -> None:
    pen.polygon(
        [(0, -1), (0.95, -0.15), (0.7, -0.15), (0.7, 0.9), (-0.7, 0.9), (-0.7, -0.15)]
        + [(-0.95, -0.15)]
    )
    pen.polygon([(-0.2, 0.9), (-0.2, 0.25), (0.2, 0.25), (0.2, 0.9)], pen.page)


def tree(pen: Pen) -> None:
    pen.polygon([(-0.16, 1), (-0.16, 0.4), (0.16, 0.4), (0.16, 1)], pen.detail)
    for centre in ((-0.4, 0.05), (0.4, 0.05), (0.0, -0.45)):
        pen.disc(centre, 0.52)


def car(pen: Pen) -> None:
    pen.polygon(
        [(-1, 0.35), (-1, -0.1), (-0.6, -0.15), (-0.35, -0.6), (0.4, -0.6), (0.65, -0.15)]
        + [(1, -0.05), (1, 0.35)]
    )
    pen.polygon([(-0.38, -0.15), (-0.22, -0.45), (0.3, -0.45), (0.44, -0.15)], pen.page)
    for x in (-0.5, 0.5):
        pen.disc((x, 0.38), 0.27, pen.detail)
        pen.disc((x, 0.38), 0.11, pen.page)


def sun(pen: Pen) -> None:
    pen.disc((0, 0), 0.5)
    for angle in range(0, 360, 45):
        c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        pen.stroke([(0.66 * c, 0.66 * s), (1.02 * c, 1.02 * s)], 0.2)


def cat(pen: Pen) -> None:
    pen.polygon([(-0.8, -1), (-0.1, -0.5), (-0.75, 0.0)], pen.main)
    pen.polygon([(0.8, -1), (0.1, -0.5), (0.75, 0.0)], pen.main)
    pen.disc((0, 0.15), 0.8)
    if not pen.filled:
        pen.disc((0, 0.15), 0.6, pen.page)
    for side in (-1, 1):
        pen.disc((0.3 * side, 0.05), 0.13, pen.detail if not pen.filled else pen.page)
        pen.stroke([(0.35 * side, 0.42), (1.1 * side, 0.3)], 0.09)
        pen.stroke([(0.35 * side, 0.5), (1.1 * side, 0.62)], 0.09)
    pen.polygon([(-0.13, 0.32), (0.13, 0.32), (0, 0.5)], pen.detail)


def fish(pen: Pen) -> None:
    body = [
        (-0.35 + 0.65 * math.cos(t), 0.45 * math.sin(t))
        for t in (2 * math.pi * i / 24 for i in range(24))
    ]
    pen.polygon([(0.15, 0), (1, -0.6), (0.8, 0), (1, 0.6)])
    pen.polygon(body)
    pen.disc((-0.65, -0.1), 0.11, pen.page if pen.filled else pen.main)


def cup(pen: Pen) -> None:
    pen.ring((0.6, 0.0), 0.42, 0.2)
    if not pen.filled:
        pen.polygon([(-0.85, -0.75), (0.55, -0.75), (0.4, 0.8), (-0.7, 0.8)], pen.page)
    pen.polygon([(-0.85, -0.75), (0.55, -0.75), (0.4, 0.8), (-0.7, 0.8)])


SHAPES: dict[str, Callable[[Pen], None]] = {
    shape.__name__: shape
    for shape in (
        circle,
        square,
        triangle,
        star,
        heart,
        diamond,
        cross,
        ring,
        house,
        tree,
        car,
        sun,
        cat,
        fish,
        cup,
    )
}
