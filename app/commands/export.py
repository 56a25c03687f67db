"""Every vote, thumb and flag as a row of a file; docs/arena.md explains its columns.

  python app.py export ratings --out ratings.parquet

It works while the app runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from app.commands.table import DATABASE
from app.settings import Settings

HELP = "write every vote, thumb and flag to a file"
SETTINGS = DATABASE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``export ratings --out FILE``."""
    parser.add_argument("what", choices=("ratings",), help="what to write")
    parser.add_argument("--out", type=Path, required=True, help="the file; it is replaced")
    parser.add_argument(
        "--format", choices=("jsonl", "parquet"), help="default: as the file's name ends, or jsonl"
    )


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Do it; raises :class:`app.errors.StudioError`."""
    # Imported here: help needs none of these large libraries.
    from app.db.store import Store
    from app.ratings.export import rating_rows
    from app.ratings.files import write_rows

    by_name = "parquet" if arguments.out.suffix == ".parquet" else "jsonl"
    store = Store.open(settings)
    try:
        rows = rating_rows(store.database)
        number = write_rows(rows, arguments.out, arguments.format or by_name)
    finally:
        store.close()
    print(f"{arguments.out}: {number} rows")
    return 0
