"""Everything in one file, while the app runs: conversations, ratings, users, pictures.

docs/people.md says what it holds; python app.py restore FILE puts it back.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from app.commands.table import DATABASE
from app.db.backup import back_up
from app.settings import Settings

HELP = "write everything to one file, while the app runs"
SETTINGS = DATABASE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``backup FILE``."""
    parser.add_argument("file", type=Path, help="the file to write; it must not be there yet")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Do it; raises :class:`app.errors.StudioError`."""
    contents = back_up(settings, arguments.file)
    print(
        f"{arguments.file}: {contents.conversations} conversations, {contents.pictures} pictures, "
        f"{contents.bytes / 1e6:.1f} MB"
    )
    return 0
