"""``report``: results of checkpoints on one page, with what cannot be compared."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from training.evals.comparison import Group, grouped, overlaps
from training.evals.contamination import digests_of, pictures_of
from training.evals.report_page import page
from training.evals.results import Result, read_result
from training.writing import whole_file


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's options."""
    parser = commands.add_parser("report", help="gather results into one page", description=__doc__)
    parser.add_argument("results", type=Path, nargs="+", help="what --result has written")
    parser.add_argument("--output", type=Path, default=Path("runs/evaluation.html"))
    parser.add_argument("--images", type=Path, default=Path("."), help="pictures of the samples")
    parser.add_argument("--training", type=Path, help="training JSON, to look for test pictures in")
    parser.add_argument("--training-images", type=Path, default=Path("."))
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"))
    parser.add_argument(
        "--app", type=Path, metavar="DATA_DIR", help="also show it on the app's leaderboard"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the page. Raises :class:`llava_core.training.records.DataError`."""
    results = [read_result(path) for path in options.results]
    trained_on = (
        digests_of(pictures_of(options.training, options.training_images, options.cache))
        if options.training
        else []
    )
    found = overlaps(results, trained_on) if trained_on else []
    groups = grouped(results)
    with whole_file(options.output) as file:
        file.write(page(groups, found, options.images))
    if options.app:
        with whole_file(options.app / "evaluation.json") as file:
            json.dump(summary(groups), file, indent=1)
    Console().print(f"{len(results)} results in {options.output}", soft_wrap=True)
    return 0


def summary(groups: Sequence[Group]) -> list[dict[str, object]]:
    """What the app's leaderboard shows: the headline of each model, by comparable group."""
    return [_summary(group, each) for group in groups for each in group.results]


def _summary(group: Group, result: Result) -> dict[str, object]:
    figure = result.figures[result.headline]
    return {
        "kind": group.kind,
        "group": "; ".join(f"{k}: {v}" for k, v in result.settings.items()),
        "model": result.model,
        "headline": result.headline,
        "percent": figure.percent,
        "low": figure.low,
        "high": figure.high,
        "number": figure.number,
        "made": result.made,
    }
