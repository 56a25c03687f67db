"""``reviews``: what a judge's review files say, each and together."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from training.evals.reviews import Relative, read_reviews, spread, summarise


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's options."""
    parser = commands.add_parser(
        "reviews", help="summarise a judge's review files", description=__doc__
    )
    parser.add_argument("files", type=Path, nargs="+", help="reviews as JSON lines")
    parser.add_argument("--seed", type=int, default=0, help="of the intervals")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Summarise and print. Raises :class:`llava_core.training.records.DataError`."""
    console = Console()
    summaries = [summarise(read_reviews(path), options.seed) for path in options.files]
    for path, summary in zip(options.files, summaries, strict=True):
        show(path.name, summary, console)
    if len(summaries) > 1:
        show_spread(summaries, console)
    return 0


def show(title: str, summary: Mapping[str, Relative], console: Console) -> None:
    """Print one file's table."""
    table = Table(title=f"{title}: relative score, percent")
    for name in ("", "questions", "score", "95% interval", "reference", "candidate", "unreadable"):
        table.add_column(name, justify="left" if not name else "right")
    for name, each in summary.items():
        if each.number:
            table.add_row(
                name,
                f"{each.number:,}",
                f"{each.percent:.1f}",
                f"{each.low:.1f} to {each.high:.1f}",
                f"{each.reference:.2f}",
                f"{each.candidate:.2f}",
                f"{each.unreadable:,}",
            )
        else:
            table.add_row(name, "0", "–", "–", "–", "–", f"{each.unreadable:,}")
    console.print(table)
    if summary["all"].unreadable:
        console.print(
            f"{summary['all'].unreadable} replies could not be read; they are left out of the means"
        )


def show_spread(summaries: Sequence[Mapping[str, Relative]], console: Console) -> None:
    """Print mean and standard deviation over files."""
    table = Table(title=f"{len(summaries)} files")
    for name in ("", "mean", "standard deviation"):
        table.add_column(name, justify="left" if not name else "right")
    for name, (mean, deviation) in spread(summaries).items():
        table.add_row(name, f"{mean:.1f}", f"{deviation:.1f}")
    console.print(table)
