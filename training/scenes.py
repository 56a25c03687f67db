"""Scenes in symbols: what can stand on a picture, where, how large, in which colour and manner.

A scene is drawn by :mod:`training.drawing` and asked about by :mod:`training.questions`. All
coordinates are shares of the canvas in 0..1, x to the right and y downwards.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

KINDS = (
    "circle",
    "square",
    "triangle",
    "star",
    "heart",
    "diamond",
    "cross",
    "ring",
    "house",
    "tree",
    "car",
    "sun",
    "cat",
    "fish",
    "cup",
)
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "black")
SIZES = ("small", "medium", "large")
RADII = {"small": (0.065, 0.08), "medium": (0.105, 0.125), "large": (0.155, 0.18)}
"""Half the extent of a thing, as a share of the canvas: from, to."""

BACKGROUNDS = ("plain", "graded", "noisy", "dark")
FINISHES = ("sharp", "jpeg", "jagged")
NOTHINGS = ("blank", "noise", "photo", "scribble")
"""Pictures with nothing that the world knows."""

ROWS = ("top", "middle", "bottom")
COLUMNS = ("left", "centre", "right")
CLEARANCE = 0.03
"""A place is only asked for where the centre is this far from a line between two places."""
ORDER_CLEARANCE = 0.05
"""An order is only asked for where things of one row lie at least this far apart sideways."""


@dataclass(frozen=True)
class Thing:
    """One thing on the canvas; ``radius`` is half its extent as a share of the canvas."""

    kind: str
    colour: str
    size: str
    x: float
    y: float
    radius: float
    filled: bool = True

    @property
    def row(self) -> int:
        """0 top, 1 middle, 2 bottom."""
        return min(int(self.y * 3), 2)

    @property
    def column(self) -> int:
        """0 left, 1 centre, 2 right."""
        return min(int(self.x * 3), 2)

    @property
    def place(self) -> str:
        """The ninth of the canvas that holds the centre, in words: "top left" ... "centre"."""
        if self.row == 1 and self.column == 1:
            return "centre"
        return f"{ROWS[self.row]} {COLUMNS[self.column]}"

    @property
    def clear(self) -> bool:
        """True where the place can be told without doubt."""
        return all(
            abs(value - line) >= CLEARANCE for value in (self.x, self.y) for line in (1 / 3, 2 / 3)
        )


@dataclass(frozen=True)
class Scene:
    """Things in reading order, and the manner in which they are drawn.

    ``nothing`` names one of :data:`NOTHINGS` when the picture holds no thing of this world.
    ``seed`` decides everything that the symbols leave open (shades, noise, gradients).
    """

    things: tuple[Thing, ...]
    background: str
    finish: str
    seed: int
    nothing: str | None = None


def reading_order(things: list[Thing]) -> tuple[Thing, ...]:
    """Things by row, then from left to right."""
    return tuple(sorted(things, key=lambda thing: (thing.row, thing.x)))


def in_clear_order(things: Sequence[Thing]) -> bool:
    """True where places and reading order can be told without doubt.

    Every thing is well inside its place, and no two of a row stand one above the other.
    """
    together = combinations(things, 2)
    return all(thing.clear for thing in things) and all(
        a.row != b.row or abs(a.x - b.x) >= ORDER_CLEARANCE for a, b in together
    )


def sample_thing(rng: random.Random) -> Thing:
    """One thing of any kind, colour and size, anywhere on the canvas."""
    size = rng.choice(SIZES)
    radius = rng.uniform(*RADII[size])
    margin = radius + 0.01
    return Thing(
        kind=rng.choice(KINDS),
        colour=rng.choice(COLOURS),
        size=size,
        x=rng.uniform(margin, 1 - margin),
        y=rng.uniform(margin, 1 - margin),
        radius=radius,
        filled=rng.random() < 0.75,
    )


def _overlaps(a: Thing, b: Thing) -> bool:
    return (a.x - b.x) ** 2 + (a.y - b.y) ** 2 < (1.05 * (a.radius + b.radius)) ** 2


def sample_scene(
    rng: random.Random,
    count: int | None = None,
    nothing_share: float = 0.06,
    clear: bool = False,
) -> Scene:
    """A scene of ``count`` things (default: one to five) that do not overlap.

    With probability ``nothing_share`` (when ``count`` is None) a picture of nothing known.
    Things that find no free place after many tries are left out; with ``clear`` also those whose
    place or order would leave a doubt (:func:`in_clear_order`).
    """
    seed = rng.getrandbits(31)
    background = rng.choice(BACKGROUNDS)
    finish = rng.choice(FINISHES)
    if count is None and rng.random() < nothing_share:
        return Scene((), background, finish, seed, nothing=rng.choice(NOTHINGS))
    wanted = rng.randint(1, 5) if count is None else count
    things: list[Thing] = []
    tries = 0
    while len(things) < wanted and tries < 60:
        tries += 1
        thing = sample_thing(rng)
        if background == "dark" and thing.colour == "black":
            continue
        if clear and not in_clear_order([*things, thing]):
            continue
        if not any(_overlaps(thing, other) for other in things):
            things.append(thing)
    return Scene(reading_order(things), background, finish, seed)
