"""From samples to tables, a plot and a file of everything that was measured."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.engine_model import SMALL
from benchmarks.engine_peers import SIDES, Side
from benchmarks.engine_plot import Bar, Panel, write_plot
from benchmarks.engine_requests import Samples

SCENARIOS: dict[str, tuple[str, tuple[str, ...]]] = {
    "one": ("one", ("ours-32bit", "generate", "llama-F32")),
    "one-16bit": ("one", ("ours-16bit", "generate", "llama-F16")),
    "one-8bit": ("one", ("ours-8bit", "generate", "llama-Q8_0")),
    "eight": ("eight", tuple(side.key for side in SIDES)),
    "second-turn": ("second-turn", tuple(side.key for side in SIDES)),
    "outside": ("eight", ("ours-32bit",)),
    "bandwidth": ("one", ("ours-32bit",)),
}
"""What is measured in each, and of whom; the first is the one that the others are compared with."""
BITS = (32, 16, 8)
"""Of our weights that are measured."""
IDLE = 0.05
"""With a smaller share of the processor in others' hands, figures are worth reading."""


@dataclass
class Results:
    """Everything that was measured, and what it was measured on."""

    machine: dict[str, Any]
    samples: dict[str, Samples] = field(default_factory=dict)
    bandwidth: list[float] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    others: list[float] = field(default_factory=list)
    """The share of the processor that other work took before each start of a side."""

    def add(self, side: Side, found: Samples) -> None:
        """The samples of one start of a side."""
        for kind, entries in found.items():
            self.samples.setdefault(side.key, {}).setdefault(kind, []).extend(entries)

    def median(self, key: str, kind: str, value: str) -> float | None:
        """Of a side's figure over all samples; of several people's, their median first."""
        entries = self.samples.get(key, {}).get(kind, [])
        found = [_one(entry[value]) for entry in entries]
        return statistics.median(found) if found else None

    def sides(self, scenario: str) -> list[Side]:
        """Those of a scenario that were measured."""
        kind, keys = SCENARIOS[scenario]
        return [
            side for side in SIDES if side.key in keys and kind in self.samples.get(side.key, {})
        ]


def _one(value: Any) -> float:
    return float(statistics.median(value) if isinstance(value, list) else value)


def wanted(only: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """For each side the kinds of measurements that the scenarios ``only`` need."""
    needed: dict[str, tuple[str, ...]] = {}
    for side in SIDES:
        kinds = {kind for name in only for kind, keys in [SCENARIOS[name]] if side.key in keys}
        if found := tuple(kind for kind in side.kinds if kind in kinds):
            needed[side.key] = found
    return needed


# --- tables ---------------------------------------------------------------------------------------


def table(results: Results, only: Sequence[str]) -> str:
    """The scenarios as Markdown."""
    parts: list[str] = []
    for name in only:
        if name in ("one", "one-16bit", "one-8bit"):
            parts += _alone(results, name)
        elif name == "eight":
            parts += _together(results)
        elif name == "second-turn":
            parts += _second(results)
        elif name == "outside":
            parts += [f"Of our steps with eight people, outside the model: {outside(results)}.", ""]
        else:
            parts += [_bandwidth(results), ""]
    if results.others and max(results.others) > IDLE:
        share = f"{100 * statistics.median(results.others):.0f}%"
        parts += [
            f"Noisy: other work took {share} of the processor (median before each start).",
            "",
        ]
    parts += [f"Left out: {name}: {reason}" for name, reason in results.left_out.items()]
    return "\n".join(parts).strip() + "\n"


def _rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, *rows)]
    return [lines[0], "|---" * len(header) + "|", *lines[1:], ""] if rows else []


def _alone(results: Results, scenario: str) -> list[str]:
    first = SCENARIOS[scenario][1][0]
    header = ["one person", "weights", "s to the first token", "tokens/s after it"]
    header += ["first token, ours to it", "tokens/s, ours to it"]
    rows = []
    for side in results.sides(scenario):
        seconds = results.median(side.key, "one", "first")
        speed = results.median(side.key, "one", "per_second")
        ours = results.median(first, "one", "first"), results.median(first, "one", "per_second")
        ratios = ["", ""] if side.key == first else [times(seconds, ours[0]), times(ours[1], speed)]
        rows.append([side.name, side.weights, number(seconds, 2), number(speed, 1), *ratios])
    return _rows(header, rows)


def _together(results: Results) -> list[str]:
    header = ["eight people at once", "weights", "tokens/s, all together"]
    header += ["s to the first token, median"]
    header += [f"ours in {bits} bits to it" for bits in BITS]
    ours = [results.median(f"ours-{bits}bit", "eight", "per_second") for bits in BITS]
    rows = []
    for side in results.sides("eight"):
        speed = results.median(side.key, "eight", "per_second")
        ratios = (
            [""] * len(ours) if side.family == "ours" else [times(each, speed) for each in ours]
        )
        seconds = results.median(side.key, "eight", "first")
        rows.append([side.name, side.weights, number(speed, 1), number(seconds, 2), *ratios])
    return _rows(header, rows)


def _second(results: Results) -> list[str]:
    header = ["the same picture again", "weights", "turn 1, s to the first token", "turn 2"]
    rows = []
    for side in results.sides("second-turn"):
        turns = [results.median(side.key, "second-turn", f"turn {turn}") for turn in (1, 2)]
        words = [number(seconds, 2) for seconds in turns]
        rows.append([side.name, side.weights, *words, times(turns[0], turns[1])])
    return _rows([*header, "turn 1 to turn 2"], rows)


def outside(results: Results) -> str:
    """The share of a step that is not the model's, where the worker tells its figures.

    It tells ``step_seconds`` and ``model_seconds`` in ``/metrics``.
    """
    entries = results.samples.get("ours-32bit", {}).get("eight", [])
    told = [entry["figures"] for entry in entries if entry["figures"]]
    shares = [1 - each["model_seconds"] / each["step_seconds"] for each in told]
    return f"{100 * statistics.median(shares):.1f}%" if shares else "not measured"


def _bandwidth(results: Results) -> str:
    speed = results.median("ours-32bit", "one", "per_second")
    if not results.bandwidth or speed is None:
        return "Memory: not measured."
    read = statistics.median(results.bandwidth)
    ours = speed * SMALL.parameters_per_step * 4
    return (
        f"This machine reads {read / 1e9:.1f} GB of memory a second; decoding for one person, ours "
        f"reads {ours / 1e9:.1f} GB of weights a second, {100 * ours / read:.0f}% of it."
    )


def number(value: float | None, digits: int) -> str:
    """A figure, or nothing."""
    return "" if value is None else f"{value:,.{digits}f}"


def times(larger: float | None, smaller: float | None) -> str:
    """A ratio as ``2.1x``, or nothing."""
    return f"{larger / smaller:.1f}x" if larger and smaller else ""


# --- files ----------------------------------------------------------------------------------------


def panels(results: Results) -> list[Panel]:
    """The plot's parts."""

    def bars(scenario: str, value: str) -> list[Bar]:
        kind = SCENARIOS[scenario][0]
        return [
            Bar(
                f"{side.name}, {side.weights}".replace("`", ""),
                results.median(side.key, kind, value) or 0.0,
                side.family == "ours",
            )
            for side in results.sides(scenario)
        ]

    return [
        Panel("One person, 32 bits", "tokens/s after the first", bars("one", "per_second")),
        Panel("One person, 16 bits", "tokens/s after the first", bars("one-16bit", "per_second")),
        Panel("One person, 8 bits", "tokens/s after the first", bars("one-8bit", "per_second")),
        Panel("Eight people at once", "tokens/s, all together", bars("eight", "per_second")),
        Panel("Turn 1", "seconds to the first token", bars("second-turn", "turn 1")),
        Panel("Turn 2, same picture", "seconds to the first token", bars("second-turn", "turn 2")),
    ]


def write(results: Results, only: Sequence[str], folder: Path) -> str:
    """``results.json``, ``table.md`` and ``plot.svg`` in the folder; returns the table."""
    text = table(results, only)
    raw = {
        "machine": results.machine,
        "samples": results.samples,
        "bandwidth": results.bandwidth,
        "outside": outside(results),
        "left_out": results.left_out,
        "others": results.others,
    }
    (folder / "results.json").write_text(json.dumps(raw, indent=1) + "\n")
    (folder / "table.md").write_text(text)
    write_plot(folder / "plot.svg", [panel for panel in panels(results) if panel.bars])
    return text
