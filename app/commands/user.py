"""People who can log in: add, list, password, remove, key. It works while the app runs.

Passwords are asked for, or read from standard input where that is no terminal.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable

from app.commands.table import DATABASE
from app.db.people import People
from app.db.store import Store
from app.errors import BadRequest
from app.settings import Settings

HELP = "people who can log in: add, list, password, remove, key"
SETTINGS = DATABASE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``user ACTION [NAME]``."""
    parser.add_argument("action", choices=sorted(_ACTIONS), help="what to do")
    parser.add_argument("name", nargs="?", default="", help="the person's name")
    parser.add_argument("--void", action="store_true", help="with key: all former keys are void")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Do it; raises :class:`app.errors.StudioError`."""
    if arguments.action != "list" and not arguments.name:
        raise BadRequest(
            f"user {arguments.action} needs a name.", f"python app.py user {arguments.action} NAME"
        )
    store = Store.open(settings)
    try:
        _ACTIONS[arguments.action](store.people, arguments)
    finally:
        store.close()
    return 0


def _add(people: People, arguments: argparse.Namespace) -> None:
    people.add(arguments.name, _password())
    print(f"{arguments.name} can log in where the app runs with --login.")


def _list(people: People, arguments: argparse.Namespace) -> None:
    users = people.names()
    for name, created_at in users:
        print(f"{name:<30} since {created_at[:10]}")
    if not users:
        print("There are no users. Add one: python app.py user add NAME")


def _change(people: People, arguments: argparse.Namespace) -> None:
    people.set_password(arguments.name, _password())
    print(f"{arguments.name} has a new password, and must log in again everywhere.")


def _remove(people: People, arguments: argparse.Namespace) -> None:
    people.remove(arguments.name)
    print(
        f"{arguments.name} cannot log in any more. Their conversations are kept; to delete them:\n"
        f"python app.py forget user:{arguments.name}"
    )


def _key(people: People, arguments: argparse.Namespace) -> None:
    if arguments.void:
        print(f"{people.remove_keys(arguments.name)} former keys are void.")
    print(people.new_key(arguments.name))
    print("Send it as Authorization: Bearer ...; it is not shown again.", file=sys.stderr)


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise BadRequest("The two passwords differ.", "Type the same one twice.")
    return password


_ACTIONS: dict[str, Callable[[People, argparse.Namespace], None]] = {
    "add": _add,
    "key": _key,
    "list": _list,
    "password": _change,
    "remove": _remove,
}
