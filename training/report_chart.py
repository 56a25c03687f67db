"""Curves as SVG with HTML labels: the lines stretch to any width, the letters never do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from training.report_data import Point

SIDE = 1000
"""The plot's own units, both ways; the page stretches them."""
MOST_POINTS = 400
"""More are drawn as means of neighbours."""
LOG_FROM = 8.0
"""Curves whose largest value is this many times their smallest are drawn on a logarithmic axis."""


@dataclass(frozen=True)
class Line:
    """A curve; ``colour`` is the number of its colour on the page, ``dashed`` with dots on it."""

    name: str
    points: tuple[Point, ...]
    colour: int
    dashed: bool = False


@dataclass(frozen=True)
class Axis:
    """Where values lie, 0 at the lower end and 1 at the upper one."""

    low: float
    high: float
    ticks: tuple[float, ...]
    is_log: bool = False

    def share(self, value: float) -> float:
        """The place of a value."""
        if self.is_log:
            value = max(value, self.low)
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def number_words(value: float) -> str:
    """As short as it stays exact enough: 12,345, 0.1278, 0.0005, 2.5e-05."""
    if not math.isfinite(value):
        return str(value)
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.2g}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def linear_axis(values: Sequence[float], most: int = 5) -> Axis:
    """From zero, or from the smallest value where it is far from zero, in steps of 1, 2 or 5."""
    low, high = min(values), max(values)
    low = min(low, 0.0) if low < high / 3 or low == high else low
    high = high if high > low else low + 1.0
    step = _neat((high - low) / most)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(step * number for number in range(first, last + 1))
    return Axis(ticks[0], ticks[-1], ticks)


def value_axis(values: Sequence[float]) -> Axis:
    """Logarithmic for positive values of many sizes, else linear."""
    low, high = min(values), max(values)
    if low <= 0 or high / low < LOG_FROM:
        return linear_axis(values)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), (1, 3), (1,)):
        marks = [digit * 10.0**decade for decade in decades for digit in digits]
        below = max((mark for mark in marks if mark <= low), default=marks[0])
        above = min((mark for mark in marks if mark >= high), default=marks[-1])
        ticks = tuple(mark for mark in marks if below <= mark <= above)
        if len(ticks) <= 8:
            break
    return Axis(below, above, ticks, is_log=True)


def _neat(rough: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= rough * (1 - 1e-9))


def thinned(points: Sequence[Point]) -> tuple[Point, ...]:
    """The finite ones, at most :data:`MOST_POINTS`: else means of neighbours at their last step."""
    finite = [point for point in points if math.isfinite(point.value)]
    size = math.ceil(len(finite) / MOST_POINTS) or 1
    parts = [finite[start : start + size] for start in range(0, len(finite), size)]
    return tuple(
        Point(part[-1].step, sum(point.value for point in part) / len(part)) for part in parts
    )


def chart(title: str, lines: Sequence[Line], small: bool = False) -> str:
    """The curves over the steps; empty where there is no finite value. Small ones are linear."""
    thin = [Line(line.name, thinned(line.points), line.colour, line.dashed) for line in lines]
    thin = [line for line in thin if line.points]
    if not thin:
        return ""
    values = [point.value for line in thin for point in line.points]
    steps = [point.step for line in thin for point in line.points]
    down = linear_axis(values) if small else value_axis(values)
    along = _step_axis(max(steps))
    scale = ", logarithmic" if down.is_log else ""
    drawn = "".join(_curve(line, along, down) for line in thin)
    return (
        f'<figure class="chart{" small" if small else ""}">'
        f"<figcaption>{escape(title)}<span>{scale}</span></figcaption>"
        f'<div class="plot">{_labels(along, down)}'
        f'<svg viewBox="0 0 {SIDE} {SIDE}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(title)} over the steps">'
        f"{_grid(along, down)}{drawn}{_hits(thin, along, down)}</svg></div>"
        '<p class="axis">step</p></figure>'
    )


def _step_axis(last: int) -> Axis:
    """Steps from 0 to the last one, which need not be a tick."""
    whole = linear_axis([0, max(last, 1)])
    ticks = tuple(tick for tick in whole.ticks if tick <= last and tick == int(tick))
    return Axis(0.0, float(max(last, 1)), ticks)


def _x(step: float, along: Axis) -> str:
    return f"{SIDE * along.share(step):.1f}"


def _y(value: float, down: Axis) -> str:
    return f"{SIDE * (1 - down.share(value)):.1f}"


def _labels(along: Axis, down: Axis) -> str:
    values = "".join(
        f'<b class="y" style="top:{100 * (1 - down.share(tick)):.2f}%">{number_words(tick)}</b>'
        for tick in down.ticks
    )
    steps = "".join(
        f'<b class="x" style="left:{100 * along.share(tick):.2f}%">{tick:,.0f}</b>'
        for tick in along.ticks
    )
    return values + steps


def _grid(along: Axis, down: Axis) -> str:
    across = "".join(f"M0 {_y(tick, down)}H{SIDE}" for tick in down.ticks)
    upright = "".join(f"M{_x(tick, along)} 0V{SIDE}" for tick in along.ticks)
    return f'<path class="grid" d="{across}{upright}"/>'


def _curve(line: Line, along: Axis, down: Axis) -> str:
    places = [f"{_x(p.step, along)} {_y(p.value, down)}" for p in line.points]
    path = "L".join(places)
    kinds = f"curve c{line.colour}" + (" dashed" if line.dashed else "")
    drawn = f'<path class="{kinds}" d="M{path}"/>'
    if line.dashed or len(places) == 1:
        drawn += _dots("dots", line.colour, places)
    return drawn


def _dots(kind: str, colour: int, places: Iterable[str]) -> str:
    """Lines without length: their round ends stay round however the plot is stretched."""
    path = "".join(f"M{place}h0" for place in places)
    return f'<path class="{kind} c{colour}" d="{path}"/>'


def _hits(lines: Sequence[Line], along: Axis, down: Axis) -> str:
    """For each step a strip that, pointed at, shows its values and where they lie."""
    steps = sorted({point.step for line in lines for point in line.points})
    places = [SIDE * along.share(step) for step in steps]
    edges = [0.0, *((a + b) / 2 for a, b in pairwise(places)), float(SIDE)]
    known = [{point.step: point.value for point in line.points} for line in lines]
    strips = []
    for at, step in enumerate(steps):
        there = [(line, of[step]) for line, of in zip(lines, known, strict=True) if step in of]
        told = "".join(f"\n{line.name} {number_words(value)}" for line, value in there)
        x = f"{places[at]:.1f}"
        marks = "".join(_dots("mark", line.colour, [f"{x} {_y(v, down)}"]) for line, v in there)
        strips.append(
            f'<g class="hit"><title>step {step:,}{escape(told)}</title>'
            f'<rect x="{edges[at]:.1f}" width="{edges[at + 1] - edges[at]:.1f}" height="{SIDE}"/>'
            f'<path class="guide" d="M{x} 0V{SIDE}"/>{marks}</g>'
        )
    return "".join(strips)
