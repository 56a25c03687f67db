"""The command line of every job that asks an endpoint, and the job made of it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from training.endpoint.asking import Asker, Patience, monotonic
from training.endpoint.budget import Budget, Prices
from training.endpoint.client import Address, Endpoint
from training.endpoint.journal import Journal
from training.endpoint.pace import Pace
from training.endpoint.progress import Board
from training.endpoint.request import Sampling


@dataclass(frozen=True)
class Job:
    """Everything that the flags say of an endpoint and of how it is asked."""

    address: Address
    sampling: Sampling
    prices: Prices
    budget: float | None
    requests_per_minute: int
    tokens_per_minute: int
    at_once: int
    patience: Patience

    def journal(self, path: Path) -> Journal:
        """The file of this job's replies."""
        return Journal(path, self.address.model, self.sampling)

    def asker(self, journal: Journal, what: str, total: int) -> Asker:
        """Asks for what ``journal`` does not have; tells of ``total`` requests on stderr."""
        pace = Pace(self.requests_per_minute, self.tokens_per_minute, monotonic)
        budget = Budget(self.prices, self.budget, journal.usage)
        board = Board(Console(file=sys.stderr), what, total, bool(self.prices))
        endpoint = Endpoint(self.address, self.sampling)
        return Asker(endpoint, journal, pace, budget, board, self.at_once, self.patience)


def add_flags(parser: argparse.ArgumentParser, temperature: float, max_tokens: int) -> None:
    """Add the flags of an endpoint; the caller adds the URL's and the model's own."""
    group = parser.add_argument_group("the endpoint")
    add = group.add_argument
    add("--key-env", default="OPENAI_API_KEY", help="environment variable with the key")
    add("--temperature", type=float, default=temperature, help=f"default: {temperature:g}")
    add("--top-p", type=float)
    add("--max-tokens", type=int, default=max_tokens, help=f"longest reply; default: {max_tokens}")
    add("--sampling-seed", type=int, help="for endpoints that take one")
    add("--extra", type=_json, default={}, metavar="JSON", help="more keys of the request's body")
    add("--at-once", type=int, default=8, help="requests at once; default: 8")
    add("--requests-per-minute", type=int, default=0, help="default: no limit")
    add("--tokens-per-minute", type=int, default=0, help="default: no limit")
    add("--price-in", type=float, default=0.0, help="money for a million tokens read")
    add("--price-out", type=float, default=0.0, help="money for a million tokens written")
    add("--budget", type=float, help="money for the whole job, all starts together")
    add("--attempts", type=int, default=8, help="attempts for each request; default: 8")
    add("--first-wait", type=float, default=1.0, help="seconds; doubles with each attempt")
    add("--silence", type=float, default=120.0, help="longest pause in a reply, in seconds")


def job_of(options: argparse.Namespace, parser: argparse.ArgumentParser, url: str) -> Job:
    """The job that the flags describe; ends with a usage error where they contradict."""
    _check(options, parser)
    if not url.startswith(("http://", "https://")):
        parser.error(f"{url!r} is no URL: write http:// or https:// in front, and mostly /v1 after")
    sampling = Sampling(
        options.max_tokens,
        options.temperature,
        options.top_p,
        options.sampling_seed,
        tuple(sorted(options.extra.items())),
    )
    key = os.environ.get(options.key_env) or "none"
    return Job(
        Address(url, options.model, key, options.silence),
        sampling,
        Prices(options.price_in, options.price_out),
        options.budget,
        options.requests_per_minute,
        options.tokens_per_minute,
        options.at_once,
        Patience(options.attempts, options.first_wait),
    )


def _check(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    for name in ("at_once", "attempts", "max_tokens"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    for name in ("requests_per_minute", "tokens_per_minute", "price_in", "price_out", "first_wait"):
        if getattr(options, name) < 0:
            parser.error(f"--{name.replace('_', '-')} must not be negative")
    if options.budget is not None and not (options.price_in or options.price_out):
        parser.error("--budget says nothing without --price-in and --price-out")
    if 0 < options.tokens_per_minute <= options.max_tokens:
        parser.error(
            f"--tokens-per-minute {options.tokens_per_minute} is less than one reply may have "
            f"(--max-tokens {options.max_tokens})"
        )


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON object")
    return found
