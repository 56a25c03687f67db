"""Votes of other programs' logs: FastChat's battles, and thumbs of FastChat and LLaVA.

  python app.py import votes 2024-01-01-conv.json

Imported rows are marked with where they come from, and the same row is never imported twice. Rows
that cannot be read are told with their numbers; the others are imported. It works while the app
runs; docs/arena.md has the formats.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from app.commands.table import DATABASE
from app.controller.arena.masking import Mask
from app.db.store import Store
from app.ratings.importing import Importer
from app.ratings.vote_logs import BadRow, LoggedBattle, LoggedThumb, read_votes_of
from app.settings import Settings

HELP = "import the votes of FastChat's and LLaVA's logs"
SETTINGS = DATABASE
MOST_TOLD = 20
"""Rows that cannot be read and are told one by one."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``import votes FILE...``."""
    parser.add_argument("what", choices=("votes",), help="what to import")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="logs of votes")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Do it; raises :class:`app.errors.StudioError`. Status 1: some rows could not be read."""
    store = Store.open(settings)
    try:
        bad = [_import(store, path) for path in arguments.files]
    finally:
        store.close()
    return 1 if any(bad) else 0


def _import(store: Store, path: Path) -> int:
    """Import one file and tell how it went; returns how many rows could not be read."""
    bad: list[BadRow] = []
    others = 0

    def votes() -> Iterator[LoggedBattle | LoggedThumb]:
        nonlocal others
        for row in read_votes_of(path):
            if row is None:
                others += 1
            elif isinstance(row, BadRow):
                bad.append(row)
            else:
                yield row

    counts = Importer(store.database, _names_model).store(votes())
    print(
        f"{path}: {counts['votes']} votes and {counts['thumbs']} thumbs imported; "
        f"{counts['already']} were there already; {others} other rows"
    )
    for row in bad[:MOST_TOLD]:
        print(f"{path}, row {row.number}: not imported: {row.reason}", file=sys.stderr)
    if len(bad) > MOST_TOLD:
        print(f"{path}: {len(bad) - MOST_TOLD} more rows not imported", file=sys.stderr)
    return len(bad)


def _names_model(models: tuple[str, str], answer: str) -> bool:
    mask = Mask(models)
    mask.whole(answer)
    return mask.hit
