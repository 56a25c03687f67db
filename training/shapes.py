"""The fifteen kinds of things, made of polygons, discs and strokes on a unit canvas.

Every kind draws around (0, 0) with half extent 1, y downwards, through a :class:`Pen`. What is cut
out of a thing (a door, an eye) shows the page; wheels and trunks are a darker shade.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import ImageDraw

Point = tuple[float, float]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Placement:
    """Where and how a unit shape lands on the canvas: pixels, and radians clockwise.

    ``stretch`` scales width and height; ``mirrored`` swaps left and right.
    """

    x: float
    y: float
    radius: float
    angle: float = 0.0
    stretch: tuple[float, float] = (1.0, 1.0)
    mirrored: bool = False

    def at(self, point: Point) -> Point:
        """A unit point on the canvas."""
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        x = point[0] * self.stretch[0] * (-1 if self.mirrored else 1)
        y = point[1] * self.stretch[1]
        return (
            self.x + self.radius * (x * cosine - y * sine),
            self.y + self.radius * (x * sine + y * cosine),
        )


@dataclass(frozen=True)
class Inks:
    """A thing's colour, a darker (for black: lighter) shade of it, and the page behind it."""

    main: Colour
    detail: Colour
    page: Colour


@dataclass(frozen=True)
class Pen:
    """Draws unit shapes at a place.

    ``filled`` False draws outlines, ``line`` wide (share of the half extent). ``form`` in 0..1 is
    free for a kind to vary: the slimness of a diamond, the number of a sun's rays.
    """

    draw: ImageDraw.ImageDraw
    placement: Placement
    inks: Inks
    filled: bool = True
    line: float = 0.2
    form: float = 0.5

    def vary(self, low: float, high: float) -> float:
        """``form`` on a scale from ``low`` to ``high``."""
        return low + (high - low) * self.form

    def body(self, points: Sequence[Point]) -> None:
        """A closed shape: filled, or only its outline."""
        if self.filled:
            self.patch(points, self.inks.main)
        else:
            self.stroke([*points, points[0], points[1]], self.line)

    def patch(self, points: Sequence[Point], colour: Colour) -> None:
        """A closed shape filled with ``colour``, however the thing is drawn."""
        self.draw.polygon([self.placement.at(point) for point in points], fill=colour)

    def stroke(self, points: Sequence[Point], width: float) -> None:
        """A line through ``points``; ``width`` as a share of the half extent."""
        placed = [self.placement.at(point) for point in points]
        self.draw.line(placed, self.inks.main, self._pixels(width), joint="curve")

    def disc(self, centre: Point, radius: float) -> None:
        """A disc: filled, or only its outline."""
        if self.filled:
            self.spot(centre, radius, self.inks.main)
        else:
            self.band(centre, radius, self.line)

    def spot(self, centre: Point, radius: float, colour: Colour) -> None:
        """A disc filled with ``colour``, however the thing is drawn."""
        self.draw.ellipse(self._box(centre, radius), fill=colour)

    def band(self, centre: Point, radius: float, width: float) -> None:
        """A circle's line of ``width``, inwards from ``radius``."""
        box = self._box(centre, radius)
        self.draw.ellipse(box, outline=self.inks.main, width=self._pixels(width))

    def _pixels(self, width: float) -> int:
        return max(1, round(self.placement.radius * width))

    def _box(self, centre: Point, radius: float) -> tuple[float, float, float, float]:
        x, y = self.placement.at(centre)
        wide, high = (radius * self.placement.radius * s for s in self.placement.stretch)
        return (x - wide, y - high, x + wide, y + high)


def spread(number: int, radius: float, start: float = -90.0) -> list[Point]:
    """``number`` points evenly around a circle, the first at ``start`` degrees."""
    angles = [math.radians(start + 360 * i / number) for i in range(number)]
    return [(radius * math.cos(a), radius * math.sin(a)) for a in angles]


def circle(pen: Pen) -> None:
    pen.disc((0, 0), 0.95)


def square(pen: Pen) -> None:
    pen.body([(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)])


def triangle(pen: Pen) -> None:
    half = pen.vary(0.8, 0.95)
    pen.body([(0, -0.95), (half, 0.75), (-half, 0.75)])


def star(pen: Pen) -> None:
    outer, inner = spread(5, 1.0), spread(5, pen.vary(0.38, 0.46), -54)
    pen.body([point for pair in zip(outer, inner, strict=True) for point in pair])


def _heart_points() -> list[Point]:
    """The heart curve of https://mathworld.wolfram.com/HeartCurve.html, scaled to half extent 1."""
    turns = [2 * math.pi * step / 80 for step in range(80)]
    heights = [
        13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        for t in turns
    ]
    return [
        (16 * math.sin(t) ** 3 / 17, -(y + 2) / 16) for t, y in zip(turns, heights, strict=True)
    ]


HEART = _heart_points()


def heart(pen: Pen) -> None:
    pen.body(HEART)


def diamond(pen: Pen) -> None:
    half = pen.vary(0.62, 0.82)
    pen.body([(0, -1), (half, 0), (0, 1), (-half, 0)])


def cross(pen: Pen) -> None:
    a, b = pen.vary(0.24, 0.34), 0.92
    right = [(a, -b), (a, -a), (b, -a), (b, a), (a, a), (a, b)]
    pen.body([*right, *((-x, y) for x, y in reversed(right))])


def ring(pen: Pen) -> None:
    """Always a thick band, at least twice the line of an outlined circle."""
    pen.band((0, 0), 0.98, pen.vary(0.4, 0.5))


def house(pen: Pen) -> None:
    roof, wall, floor = 0.92, 0.68, 0.86
    right = [(0.0, -0.95), (roof, -0.12), (wall, -0.12), (wall, floor)]
    pen.body([*right, *((-x, y) for x, y in reversed(right[1:]))])
    door = [(-0.38, floor), (-0.38, 0.25), (0.0, 0.25), (0.0, floor)]
    if not pen.filled:
        pen.stroke(door, 0.7 * pen.line)
        return
    pen.patch(door, pen.inks.page)
    pen.patch([(0.2, 0.1), (0.48, 0.1), (0.48, 0.38), (0.2, 0.38)], pen.inks.page)


def tree(pen: Pen) -> None:
    crown = ((-0.42, 0.08), (0.42, 0.08), (0.0, 0.08), (0.0, -0.42))
    for centre in crown:
        pen.spot(centre, 0.53, pen.inks.main)
    if not pen.filled:
        for centre in crown:
            pen.spot(centre, 0.53 - pen.line, pen.inks.page)
    half = pen.vary(0.13, 0.19)
    trunk = [(-half, 0.97), (-half, 0.55), (half, 0.55), (half, 0.97)]
    pen.patch(trunk, pen.inks.detail if pen.filled else pen.inks.main)


def car(pen: Pen) -> None:
    hull = [(-0.95, 0.35), (-0.95, -0.08), (-0.6, -0.15), (-0.35, -0.6), (0.4, -0.6)]
    pen.body([*hull, (0.66, -0.15), (0.95, -0.05), (0.95, 0.35)])
    if pen.filled:
        pen.patch([(-0.38, -0.15), (-0.22, -0.44), (0.02, -0.44), (0.02, -0.15)], pen.inks.page)
        pen.patch([(0.14, -0.15), (0.14, -0.44), (0.32, -0.44), (0.46, -0.15)], pen.inks.page)
    for x in (-0.5, 0.5):
        pen.spot((x, 0.38), 0.29, pen.inks.detail if pen.filled else pen.inks.main)
        pen.spot((x, 0.38), 0.11, pen.inks.page)


def sun(pen: Pen) -> None:
    rays = round(pen.vary(8, 11))
    pen.disc((0, 0), 0.52)
    for inner, outer in zip(spread(rays, 0.67), spread(rays, 0.98), strict=True):
        pen.stroke([inner, outer], 0.18)


def cat(pen: Pen) -> None:
    inks = pen.inks
    head, centre, ears = 0.74, (0.0, 0.17), [(0.76, -0.97), (0.08, -0.48), (0.72, 0.05)]
    for side in (-1, 1):
        pen.patch([(side * x, y) for x, y in ears], inks.main)
    pen.spot(centre, head, inks.main)
    if not pen.filled:
        pen.spot(centre, head - pen.line, inks.page)
    for side in (-1, 1):
        pen.spot((0.29 * side, 0.05), 0.14, inks.page if pen.filled else inks.main)
        for start, end in ((0.42, 0.3), (0.54, 0.64)):
            pen.stroke([(0.5 * side, start), (0.98 * side, end)], 0.09)
    pen.patch([(-0.14, 0.32), (0.14, 0.32), (0, 0.5)], inks.detail)


def fish(pen: Pen) -> None:
    high = pen.vary(0.4, 0.52)
    body = [(0.64 * x - 0.32, high * y) for x, y in spread(40, 1.0)]
    pen.body([(0.15, 0), (0.93, -0.52), (0.76, 0), (0.93, 0.52)])
    if not pen.filled:
        pen.patch(body, pen.inks.page)
    pen.body(body)
    pen.spot((-0.62, -0.1), 0.11, pen.inks.page if pen.filled else pen.inks.main)


def cup(pen: Pen) -> None:
    wall = [(-0.85, -0.75), (0.5, -0.75), (0.36, 0.8), (-0.71, 0.8)]
    pen.band((0.52, -0.05), 0.44, 0.19)
    if not pen.filled:
        pen.patch(wall, pen.inks.page)
    pen.body(wall)


SHAPES: dict[str, Callable[[Pen], None]] = {
    "circle": circle,
    "square": square,
    "triangle": triangle,
    "star": star,
    "heart": heart,
    "diamond": diamond,
    "cross": cross,
    "ring": ring,
    "house": house,
    "tree": tree,
    "car": car,
    "sun": sun,
    "cat": cat,
    "fish": fish,
    "cup": cup,
}
"""How each of :data:`training.scenes.KINDS` is drawn."""
