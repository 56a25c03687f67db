"""The leaderboard of an exported file: the same numbers as on the page, without the database.

python app.py export ratings --out ratings.parquet
python app.py leaderboard ratings.parquet --only-language en
"""

from __future__ import annotations

import argparse
from pathlib import Path

from app.leaderboard_protocol import Leaderboard, Slice
from app.settings import Settings

HELP = "the leaderboard of an exported file of ratings"
SETTINGS: tuple[str, ...] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file, the slice, and the form of the result."""
    parser.add_argument("file", type=Path, help="file of python app.py export ratings")
    parser.add_argument("--json", action="store_true", help="all of GET /api/leaderboard")
    parser.add_argument("--kind", choices=("blind", "named"), default="blind", help="of battle")
    parser.add_argument(
        "--voters", choices=("person", "judge"), default="person", help="whose votes"
    )
    parser.add_argument(
        "--by", choices=("model", "precision"), default="model", help="what competes"
    )
    for name in ("model", "precision", "language", "question", "source"):
        parser.add_argument(f"--only-{name}", dest=f"only_{name}", help=f"votes of this {name}")
    reason = parser.add_mutually_exclusive_group()
    reason.add_argument("--with-reason", dest="reason", action="store_true", default=None)
    reason.add_argument("--without-reason", dest="reason", action="store_false")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Do it; raises :class:`app.errors.StudioError`."""
    # Imported here: help needs none of these large libraries.
    from app.ratings.export import votes_of_rows
    from app.ratings.files import read_rows
    from app.ratings.leaderboard import leaderboard

    wanted = Slice(
        kind=arguments.kind,
        voters=arguments.voters,
        by=arguments.by,
        model=arguments.only_model,
        precision=arguments.only_precision,
        language=arguments.only_language,
        question=arguments.only_question,
        reason=arguments.reason,
        source=arguments.only_source,
    )
    found = leaderboard(votes_of_rows(read_rows(arguments.file)), wanted)
    if arguments.json:
        print(found.model_dump_json(indent=1))
    else:
        _print(found)
    return 0


def _print(found: Leaderboard) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        "rank", "name", "rating", "95% interval", "votes", "wins", "losses", "ties", "bad"
    )
    for row in found.standings:
        rank = str(row.rank) if row.enough else "too few votes"
        interval = f"{row.low:.0f} to {row.high:.0f}"
        counts = (row.votes, row.wins, row.losses, row.ties, row.both_bad)
        table.add_row(rank, Text(row.name), f"{row.rating:.0f}", interval, *map(str, counts))
    console = Console()
    console.print(table)
    votes = found.votes
    console.print(
        f"{votes.counted} of {votes.all} votes counted"
        + "".join(f"; {number} not: {reason}" for reason, number in votes.not_counted.items())
    )
