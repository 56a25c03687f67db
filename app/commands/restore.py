"""A backup put into an empty data folder; nothing is overwritten."""

from __future__ import annotations

import argparse
from pathlib import Path

from app.commands.table import DATABASE
from app.db.backup import restore
from app.settings import Settings

HELP = "put a backup into an empty data folder"
SETTINGS = DATABASE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``restore FILE``."""
    parser.add_argument("file", type=Path, help="a file that python app.py backup has written")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Do it; raises :class:`app.errors.StudioError`."""
    contents = restore(settings, arguments.file)
    print(
        f"{settings.data_dir}: {contents.conversations} conversations and {contents.pictures} "
        f"pictures, as of {contents.created_at[:19]} UTC"
    )
    return 0
