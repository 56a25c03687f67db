"""Everything of one person is deleted for good: conversations, pictures, ratings, login, consent.

A person is user:NAME, or what their browser calls itself. Their votes stay in the statistics,
without reasons, under a voter that leads to nobody. It works while the app runs.
"""

from __future__ import annotations

import argparse
import sys

from app.access import USER_PREFIX
from app.commands.table import DATABASE
from app.db.forgetting import Traces
from app.db.store import Store
from app.errors import BadRequest, NotFound
from app.settings import Settings

HELP = "delete everything of one person for good"
SETTINGS = DATABASE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``forget PERSON``."""
    parser.add_argument("person", help="user:NAME, or a browser's own name for itself")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Do it; raises :class:`app.errors.StudioError`."""
    store = Store.open(settings)
    try:
        person = arguments.person
        traces = store.forgetting.traces(person)
        if not traces.any and not person.startswith(USER_PREFIX):
            named = store.forgetting.traces(USER_PREFIX + person)
            person, traces = (USER_PREFIX + person, named) if named.any else (person, traces)
        if not traces.any:
            raise NotFound(
                f"There is nothing of {person}.", "Users are user:NAME; python app.py user list."
            )
        print(f"Of {person} there are: {_told(traces)}.")
        if not (arguments.yes or _agreed()):
            print("Nothing was deleted.")
            return 1
        store.forgetting.forget(person)
    finally:
        store.close()
    print(f"{person} is forgotten. Backups made before still have what was there.")
    return 0


def _told(traces: Traces) -> str:
    """The numbers as words."""
    words = [
        f"{traces.conversations} conversations with their pictures",
        f"{traces.ratings} ratings",
        f"{traces.votes} votes (kept without their voter)",
    ]
    if traces.battles:
        words.append(f"{traces.battles} battles (kept without their text)")
    if traces.is_user:
        words.append("a login with its sessions and keys")
    if traces.consent:
        words.append("what was said on consent")
    return ", ".join(words)


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise BadRequest("This deletes for good, and nobody can be asked.", "Add --yes.")
    return input("Delete all of it for good? [yes/no] ").strip().lower() == "yes"
