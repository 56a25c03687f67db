"""The two bundled checkpoints are whole, small enough, and as good as the docs say."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from training.checkpoint import NAMES, table_text
from training.evaluation import Table

ROOT = Path(__file__).resolve().parents[2]
BUNDLED = ROOT / "assets" / "checkpoints"
FILES = {
    "README.md",
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "processor_config.json",
    "studio.json",
    "tokenizer.json",
    "tokenizer_config.json",
}
MOST_BYTES = 60_000_000


@cache
def results() -> dict[str, Any]:
    """What ``make tiny`` measured when it made them."""
    loaded: dict[str, Any] = json.loads((BUNDLED / "results.json").read_text("utf-8"))
    return loaded


def tables() -> dict[int, Table]:
    return {int(stage): Table(**table) for stage, table in results()["stages"].items()}


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_they_are_whole_without_pickles_and_small_enough() -> None:
    for name in NAMES.values():
        assert {path.name for path in (BUNDLED / name).iterdir()} == FILES
    size = sum(path.stat().st_size for path in BUNDLED.rglob("*") if path.is_file())
    assert size <= MOST_BYTES


def test_the_second_reaches_what_was_aimed_at_and_is_clearly_better_than_the_first() -> None:
    first, second = tables()[1], tables()[2]
    assert second.mean >= 0.9 and second.mean > first.mean + 0.2
    assert min(second.matched.values()) >= 0.8
    for kind, right in second.matched.items():
        assert right > second.mismatched[kind] + 0.2, kind


@pytest.mark.parametrize(
    "name",
    ["docs/bundled-checkpoints.md", *(f"assets/checkpoints/{n}/README.md" for n in NAMES.values())],
)
def test_the_table_is_what_was_measured(name: str) -> None:
    assert table_text(tables()).strip() in page(name)


def test_the_minutes_and_the_seed_are_told_where_the_training_is() -> None:
    minutes = {part: round(taken) for part, taken in results()["minutes"].items()}
    told = page("docs/training.md")
    assert f"`make tiny`, seed {results()['seed']}" in told
    assert f"{minutes['tower']} and {minutes['language']}, side by side" in told
    for stage, spent in {
        1: str(minutes["stage1"]),
        2: f"{minutes['stage2']} and {minutes['stage2b']}",
    }.items():
        table = tables()[stage]
        lowest = min(table.matched.values())
        weakest = ", ".join(kind for kind, right in table.matched.items() if right == lowest)
        shown = f"{spent} | {100 * table.mean:.1f} | {100 * table.mean_mismatched:.1f}"
        assert f"| {shown} | {100 * lowest:.0f} ({weakest}) |" in told


def test_the_readme_says_the_same() -> None:
    first, second = tables()[1], tables()[2]
    said = re.search(
        r"to (\d+)% of the questions, as a\s+mean over (\d+) types "
        r"\(after stage 1 alone: (\d+)%; with the wrong picture: (\d+)%\)",
        page("README.md"),
    )
    assert said and [int(number) for number in said.groups()] == [
        round(100 * second.mean),
        len(second.matched),
        round(100 * first.mean),
        round(100 * second.mean_mismatched),
    ]
