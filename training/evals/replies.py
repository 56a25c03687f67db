"""Replies of an endpoint to a job's requests, kept in a journal beside what is made of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from training.endpoint.asking import Failure
from training.endpoint.flags import Job, job_of
from training.endpoint.journal import Journal
from training.endpoint.request import Reply, Request


@dataclass(frozen=True)
class Replies:
    """What came: replies by a request's id, and the requests that came to nothing."""

    by_id: Mapping[str, Reply]
    failures: tuple[Failure, ...]


def journal_beside(path: Path) -> Path:
    """Where the replies lie from which ``path`` is made."""
    return path.with_name(f"{path.name}.replies.jsonl")


def job_from(options: argparse.Namespace, url: str, model: str) -> Job:
    """The job of the command's flags; its parser must be among the options."""
    options.model = model
    return job_of(options, options.parser, url)


def ask_all(job: Job, path: Path, requests: Iterable[Request], what: str, total: int) -> Replies:
    """Every reply, old ones from the journal ``path``; failures are told on stderr.

    Raises an :class:`training.endpoint.errors.EndpointError` where going on makes no sense or the
    budget is spent, and ``KeyboardInterrupt`` after Ctrl-C; what came is kept then.
    """
    with job.journal(path) as journal:
        keys: dict[str, str] = {}
        outcome = job.asker(journal, what, total).run(_noted(requests, journal, keys))
        if outcome.stopped is not None:
            raise outcome.stopped
        if outcome.interrupted:
            raise KeyboardInterrupt
        for failure in outcome.failures:
            print(f"no reply to {failure.id!r}: {failure.reason}", file=sys.stderr)
        found = {name: journal.at(key) for name, key in keys.items()}
    there = {name: reply for name, reply in found.items() if reply is not None}
    return Replies(there, tuple(outcome.failures))


def _noted(
    requests: Iterable[Request], journal: Journal, keys: dict[str, str]
) -> Iterator[Request]:
    """The requests, each one's key noted as it passes: its pictures need not be kept."""
    for request in requests:
        keys[request.id] = journal.key(request)
        yield request
