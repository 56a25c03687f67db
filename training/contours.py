"""The fifteen kinds drawn a second time, by signed distances: for evaluation, never trained on.

Nothing is shared with :mod:`training.shapes`: other proportions, other colours (tab10 of
matplotlib where it has them), other anti-aliasing. What a model learned about the kinds shows
here; what it learned about one renderer does not help. Distances are negative inside, in units of
a thing's half extent (https://iquilezles.org/articles/distfunctions2d/).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.scenes import Scene, Thing

Field = NDArray[np.float64]
Point = tuple[float, float]
Colour = tuple[int, int, int]

PALETTE: dict[str, Colour] = {
    "red": (214, 39, 40),
    "orange": (255, 127, 14),
    "yellow": (250, 220, 40),
    "green": (44, 160, 44),
    "blue": (31, 119, 180),
    "purple": (148, 103, 189),
    "pink": (227, 119, 194),
    "black": (25, 25, 25),
}
PAGE: Colour = (250, 250, 246)
LINE = 0.2
"""Width of an outline, as a share of a thing's half extent."""
LEAST_LINE = 1.3
"""The same in pixels, at least."""


@dataclass(frozen=True)
class Plane:
    """Points of the picture in a thing's own units: x to the right, y downwards."""

    x: Field
    y: Field

    def disc(self, centre: Point, radius: float) -> Field:
        return np.asarray(np.hypot(self.x - centre[0], self.y - centre[1]) - radius)

    def box(self, centre: Point, half: Point) -> Field:
        dx, dy = np.abs(self.x - centre[0]) - half[0], np.abs(self.y - centre[1]) - half[1]
        outside = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0))
        return np.asarray(outside + np.minimum(np.maximum(dx, dy), 0))

    def stroke(self, start: Point, end: Point, width: float) -> Field:
        """A line with round ends."""
        return np.asarray(np.sqrt(self._from_line(start, end)) - width / 2)

    def polygon(self, points: Sequence[Point]) -> Field:
        """Any closed line, by the number of its edges that a ray from each point crosses."""
        nearest = np.full(self.x.shape, np.inf)
        inside = np.zeros(self.x.shape, np.bool_)
        for (ax, ay), (bx, by) in zip(points, [*points[1:], points[0]], strict=True):
            nearest = np.minimum(nearest, self._from_line((ax, ay), (bx, by)))
            if ay != by:
                between = (self.y < ay) != (self.y < by)
                inside ^= between & (self.x < ax + (self.y - ay) * (bx - ax) / (by - ay))
        return np.asarray(np.where(inside, -1, 1) * np.sqrt(nearest))

    def _from_line(self, start: Point, end: Point) -> Field:
        """Squared distance from the line between two points."""
        dx, dy = end[0] - start[0], end[1] - start[1]
        px, py = self.x - start[0], self.y - start[1]
        along = np.clip((px * dx + py * dy) / (dx * dx + dy * dy), 0, 1)
        return np.asarray((px - along * dx) ** 2 + (py - along * dy) ** 2)


@dataclass(frozen=True)
class Parts:
    """A thing as three areas laid over each other.

    ``body`` becomes a line when the thing is outlined; ``mark`` is drawn in the thing's colour
    either way; ``hole`` shows the page when filled and, with ``inked``, is drawn when outlined.
    """

    body: Field
    mark: Field | None = None
    hole: Field | None = None
    inked: bool = True


def _join(*fields: Field) -> Field:
    return np.asarray(np.minimum.reduce(fields))


def _around(number: int, radius: float, start: float = -90.0) -> list[Point]:
    turns = [math.radians(start + 360 * step / number) for step in range(number)]
    return [(radius * math.cos(turn), radius * math.sin(turn)) for turn in turns]


def _star(plane: Plane) -> Parts:
    corners = zip(_around(5, 1.0), _around(5, 0.44, -54), strict=True)
    return Parts(plane.polygon([point for pair in corners for point in pair]))


def _heart(plane: Plane) -> Parts:
    lobes = _join(plane.disc((-0.45, -0.35), 0.48), plane.disc((0.45, -0.35), 0.48))
    point = [(-0.86, -0.1), (-0.45, -0.45), (0.45, -0.45), (0.86, -0.1), (0.0, 0.95)]
    return Parts(_join(lobes, plane.polygon(point)))


def _house(plane: Plane) -> Parts:
    roof = plane.polygon([(-0.95, -0.15), (0.0, -0.9), (0.95, -0.15)])
    walls = plane.box((0.0, 0.35), (0.7, 0.52))
    return Parts(_join(roof, walls), hole=plane.box((-0.2, 0.56), (0.18, 0.31)))


def _tree(plane: Plane) -> Parts:
    discs = [plane.disc(centre, 0.5) for centre in ((-0.45, 0.05), (0.45, 0.05), (0.0, -0.45))]
    return Parts(_join(*discs), mark=plane.box((0.0, 0.72), (0.15, 0.25)))


def _car(plane: Plane) -> Parts:
    cabin = plane.polygon([(-0.62, -0.1), (-0.4, -0.58), (0.35, -0.58), (0.65, -0.1)])
    hull = _join(plane.box((0.0, 0.12), (0.94, 0.24)), cabin)
    wheels = _join(*(plane.disc((x, 0.38), 0.27) for x in (-0.5, 0.5)))
    window = plane.polygon([(-0.42, -0.14), (-0.3, -0.44), (0.25, -0.44), (0.42, -0.14)])
    return Parts(hull, mark=wheels, hole=window, inked=False)


def _sun(plane: Plane) -> Parts:
    ends = zip(_around(9, 0.7), _around(9, 0.97), strict=True)
    return Parts(plane.disc((0, 0), 0.5), mark=_join(*(plane.stroke(a, b, 0.17) for a, b in ends)))


def _cat(plane: Plane) -> Parts:
    ears = [plane.polygon([(s * 0.74, -0.95), (s * 0.1, -0.5), (s * 0.7, 0.0)]) for s in (-1, 1)]
    whiskers = [
        plane.stroke((0.5 * s, y), (0.98 * s, z), 0.09)
        for s in (-1, 1)
        for y, z in ((0.42, 0.32), (0.54, 0.62))
    ]
    eyes = [plane.disc((0.28 * s, 0.04), 0.13) for s in (-1, 1)]
    return Parts(
        _join(plane.disc((0.0, 0.17), 0.74), *ears), mark=_join(*whiskers), hole=_join(*eyes)
    )


def _fish(plane: Plane) -> Parts:
    oval = np.maximum(plane.disc((-0.2, 0.45), 0.92), plane.disc((-0.2, -0.45), 0.92))
    tail = plane.polygon([(0.3, 0.0), (0.95, -0.5), (0.8, 0.0), (0.95, 0.5)])
    return Parts(_join(oval, tail), hole=plane.disc((-0.6, -0.08), 0.1))


def _cup(plane: Plane) -> Parts:
    wall = plane.polygon([(-0.85, -0.75), (0.48, -0.75), (0.36, 0.8), (-0.72, 0.8)])
    handle = np.abs(plane.disc((0.5, -0.05), 0.35)) - 0.09
    return Parts(wall, mark=np.maximum(handle, -wall))


def _cross(plane: Plane) -> Parts:
    return Parts(_join(plane.box((0, 0), (0.3, 0.92)), plane.box((0, 0), (0.92, 0.3))))


KINDS: dict[str, Callable[[Plane], Parts]] = {
    "circle": lambda plane: Parts(plane.disc((0, 0), 0.93)),
    "square": lambda plane: Parts(plane.box((0, 0), (0.8, 0.8))),
    "triangle": lambda plane: Parts(plane.polygon([(0, -0.92), (0.9, 0.74), (-0.9, 0.74)])),
    "star": _star,
    "heart": _heart,
    "diamond": lambda plane: Parts(plane.polygon([(0, -1), (0.7, 0), (0, 1), (-0.7, 0)])),
    "cross": _cross,
    "ring": lambda plane: Parts(plane.disc((0, 0), 0.97), hole=plane.disc((0, 0), 0.53)),
    "house": _house,
    "tree": _tree,
    "car": _car,
    "sun": _sun,
    "cat": _cat,
    "fish": _fish,
    "cup": _cup,
}
"""The areas of each of :data:`training.scenes.KINDS`."""


def draw_contours(scene: Scene, pixels: int) -> Image.Image:
    """The things of a scene on a light page, ``pixels`` wide and high."""
    canvas = np.full((pixels, pixels, 3), PAGE, np.float64)
    axis = (np.arange(pixels) + 0.5) / pixels
    for thing in scene.things:
        plane = Plane(
            *np.meshgrid((axis - thing.x) / thing.radius, (axis - thing.y) / thing.radius)
        )
        _paint(canvas, thing, KINDS[thing.kind](plane), thing.radius * pixels)
    return Image.fromarray(canvas.round().astype(np.uint8))


def _paint(canvas: Field, thing: Thing, parts: Parts, scale: float) -> None:
    """The thing's areas over the canvas; ``scale`` is the number of pixels of a unit."""
    ink = PALETTE[thing.colour]
    filled = thing.filled or thing.kind == "ring"
    half = max(LINE, LEAST_LINE / scale) / 2
    body = parts.body if filled else np.abs(parts.body + half) - half
    _lay(canvas, body, ink, scale)
    if parts.mark is not None:
        _lay(canvas, parts.mark, ink, scale)
    if parts.hole is not None and (filled or parts.inked):
        _lay(canvas, parts.hole, PAGE if filled else ink, scale)


def _lay(canvas: Field, area: Field, colour: Colour, scale: float) -> None:
    share = np.clip(0.5 - area * scale, 0, 1)[..., None]
    canvas += share * (np.asarray(colour, np.float64) - canvas)
