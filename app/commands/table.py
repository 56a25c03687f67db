"""The commands beside the parts of the app: ``python app.py NAME ...``, one module for each.

A command is a module ``app.commands.NAME`` (dashes as underscores, Python's own words with one more
at the end: ``import_``) with

- ``HELP``: one line for ``python app.py --help``;
- ``SETTINGS``: the fields of :class:`app.settings.Settings` that it listens to, as flags;
- ``add_arguments(parser)``: its own arguments;
- ``run(arguments, settings) -> int``: does it and returns the exit status. A
  :class:`app.errors.StudioError` becomes two sentences on standard error and status 1.

To add one, write its module and add its name to :data:`NAMES`.
"""

from __future__ import annotations

import argparse
import importlib
import keyword
from collections.abc import Sequence
from typing import Protocol, cast

from app.flags import Parser, add_settings, settings_from
from app.settings import Settings

NAMES: tuple[str, ...] = (
    *("models", "user", "forget", "backup", "restore"),
    *("export", "import", "leaderboard", "judge-battles"),
)
"""All commands, in the order in which help lists them."""
DATABASE = ("data_dir", "database_url")
"""The settings of a command that opens the database."""


class Command(Protocol):
    """What a command's module holds."""

    HELP: str
    SETTINGS: tuple[str, ...]

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, arguments: argparse.Namespace, settings: Settings) -> int: ...


def load(name: str) -> Command:
    """The module of a command; its libraries are imported now, not at the app's start."""
    module = name.replace("-", "_") + ("_" if keyword.iskeyword(name) else "")
    return cast(Command, importlib.import_module(f"app.commands.{module}"))


def build_parser(name: str) -> Parser:
    """The parser of one command: its own arguments, then the settings it listens to."""
    command = load(name)
    parser = Parser(
        prog=f"python app.py {name}",
        description=command.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    add_settings(parser, command.SETTINGS)
    return parser


def run(name: str, arguments: Sequence[str]) -> int:
    """Run a command with what was typed after its name; returns the exit status.

    Raises ``SystemExit`` with status 2 where the arguments or settings are wrong, and
    :class:`app.errors.StudioError` where it cannot do what it is asked to.
    """
    parser = build_parser(name)
    parser.refuse_unknown_flags(arguments)
    given = vars(parser.parse_args(arguments))
    own = {key: value for key, value in given.items() if key not in Settings.model_fields}
    settings = settings_from(
        parser, {key: value for key, value in given.items() if key in Settings.model_fields}
    )
    return load(name).run(argparse.Namespace(**own), settings)


def overview() -> str:
    """One line for each command, for the help of ``python app.py``."""
    lines = [f"  {name:<16}{load(name).HELP}" for name in NAMES]
    return "\n".join(["commands (python app.py NAME --help):", *lines]) if lines else ""
