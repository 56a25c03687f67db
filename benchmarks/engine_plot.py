"""Bars as a hand-written SVG: ours in ember, the others in grey."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

WIDTH, MARGIN, LABELS, VALUES = 860, 24, 330, 90
"""Of the whole, around it, for names on the left, for numbers on the right."""
ROW, BAR, TITLE, GAP = 26, 16, 34, 22
OURS, PEER, PAPER, INK, QUIET = "#d9603a", "#a39b90", "#faf8f5", "#2c2926", "#766f66"


@dataclass(frozen=True)
class Bar:
    """One value; ``ours`` gives it the accent."""

    name: str
    value: float
    ours: bool


@dataclass(frozen=True)
class Panel:
    """Bars with one scale under a title; ``unit`` stands after it."""

    title: str
    unit: str
    bars: Sequence[Bar]

    @property
    def height(self) -> int:
        """In pixels, with the space below."""
        return TITLE + ROW * len(self.bars) + GAP


def write_plot(file: Path, panels: Sequence[Panel]) -> None:
    """All panels that have bars, one below the other."""
    shown = [panel for panel in panels if panel.bars]
    height = 2 * MARGIN + sum(panel.height for panel in shown) - GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="{PAPER}"/>',
    ]
    top = MARGIN
    for panel in shown:
        parts += _panel(panel, top)
        top += panel.height
    file.write_text("\n".join([*parts, "</svg>"]) + "\n")


def _panel(panel: Panel, top: int) -> list[str]:
    most = max(bar.value for bar in panel.bars) or 1.0
    parts = [
        f'<text x="{MARGIN}" y="{top + 14}" fill="{INK}" font-size="15" font-weight="600">'
        f"{escape(panel.title)}"
        f'<tspan fill="{QUIET}" font-size="13" font-weight="400">  {escape(panel.unit)}</tspan>'
        "</text>"
    ]
    left, room = MARGIN + LABELS, WIDTH - 2 * MARGIN - LABELS - VALUES
    for number, bar in enumerate(panel.bars):
        y = top + TITLE + ROW * number
        middle, length = y + BAR // 2 + 5, max(room * bar.value / most, 1.0)
        colour, weight = (OURS, 600) if bar.ours else (PEER, 400)
        parts += [
            f'<text x="{left - 10}" y="{middle}" text-anchor="end" fill="{INK}" '
            f'font-weight="{weight}">{escape(bar.name)}</text>',
            f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2" '
            f'fill="{colour}"/>',
            f'<text x="{left + length + 8:.1f}" y="{middle}" fill="{INK}" '
            f'font-weight="{weight}">{_number(bar.value)}</text>',
        ]
    return parts


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
