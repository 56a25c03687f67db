"""Ratings as files: every vote, thumb and flag as a row, or pairs for preference training.

  python app.py export ratings --out ratings.parquet
  python app.py export preferences --out preferences.jsonl

docs/arena.md explains both. It works while the app runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from app.commands.table import DATABASE
from app.db.store import Store
from app.errors import BadRequest
from app.settings import Settings

HELP = "write ratings, or preference pairs for training, to a file"
SETTINGS = DATABASE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``export WHAT --out FILE``."""
    parser.add_argument("what", choices=("ratings", "preferences"), help="what to write")
    parser.add_argument("--out", type=Path, required=True, help="the file; it is replaced")
    parser.add_argument(
        "--format",
        choices=("jsonl", "parquet"),
        help="of ratings; default: as the file's name ends, or jsonl",
    )
    parser.add_argument(
        "--pictures",
        type=Path,
        metavar="FOLDER",
        help="of preferences; default: a folder beside the file, named after it",
    )


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Do it; raises :class:`app.errors.StudioError`."""
    store = Store.open(settings)
    try:
        (_ratings if arguments.what == "ratings" else _preferences)(store, arguments)
    finally:
        store.close()
    return 0


def _ratings(store: Store, arguments: argparse.Namespace) -> None:
    # Imported here, as below: help needs none of these large libraries.
    from app.ratings.export import rating_rows
    from app.ratings.files import write_rows

    if arguments.pictures is not None:
        raise BadRequest(
            "Ratings name pictures by their SHA-256 and have no folder of them.",
            "Leave --pictures out, or export preferences.",
        )
    by_name = "parquet" if arguments.out.suffix == ".parquet" else "jsonl"
    rows = rating_rows(store.database, store.people.consenting)
    number = write_rows(rows, arguments.out, arguments.format or by_name)
    print(f"{arguments.out}: {number} rows")


def _preferences(store: Store, arguments: argparse.Namespace) -> None:
    from app.commands.preference_pairs import WHY, PairWriter

    out: Path = arguments.out
    if "parquet" in (arguments.format, out.suffix.removeprefix(".")):
        raise BadRequest("Preference pairs are JSON lines.", "Name the file NAME.jsonl.")
    folder = arguments.pictures or out.with_name(f"{out.stem}-pictures")
    writer = PairWriter(store, folder)
    number = writer.write(out)
    sources = ", ".join(f"{count} by {name}" for name, count in writer.written.items())
    print(f"{out}: {number} pairs{f' ({sources})' if sources else ''}")
    print(f"{folder}: {writer.pictures} pictures")
    for why, count in writer.left_out.items():
        print(f"Left out: {count} {WHY[why]}")
