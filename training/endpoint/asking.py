"""Many requests at once, each until its reply is kept: within limits and budget, with patience."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from training.endpoint.budget import Budget
from training.endpoint.client import estimate
from training.endpoint.errors import (
    BudgetSpent,
    EndpointError,
    Refusal,
    Trouble,
    Unreachable,
    Unsuitable,
)
from training.endpoint.journal import Journal
from training.endpoint.pace import Pace, Turn
from training.endpoint.progress import Board
from training.endpoint.request import Reply, Request, Sampling, Usage

_IN_A_ROW = 20
"""So many requests that come to nothing, one after another, are no accident."""


class Teller(Protocol):
    """What is asked: :class:`training.endpoint.client.Endpoint`, or a stand-in in tests."""

    sampling: Sampling

    async def reply(self, request: Request) -> Reply:
        """One attempt."""

    async def close(self) -> None:
        """Let go of the connections."""


@dataclass(frozen=True)
class Patience:
    """How often and how long: waits grow from ``first`` to ``longest`` seconds, by two.

    An endpoint that asks for more than ``asked`` seconds is not waited for.
    """

    attempts: int = 8
    first: float = 1.0
    longest: float = 60.0
    asked: float = 600.0

    def wait(self, attempt: int, trouble: Trouble, rng: random.Random) -> float:
        """Seconds before attempt ``attempt`` + 1, spread, so that many do not come at once."""
        grown = min(self.first * 2.0 ** (attempt - 1), self.longest) * rng.uniform(0.75, 1.25)
        return grown if trouble.wait is None else trouble.wait + grown * 0.1


@dataclass(frozen=True)
class Failure:
    """A request without a reply, and why."""

    id: str
    reason: str


@dataclass
class Outcome:
    """How a job went: ``kept`` new replies, ``failures``, and what ended it early, if anything."""

    kept: int = 0
    failures: list[Failure] = field(default_factory=list)
    stopped: BudgetSpent | None = None
    interrupted: bool = False


class _Stopped(Exception):
    """Nothing new goes out any more."""


class Asker:
    """Asks an endpoint, ``at_once`` requests at a time, and keeps the replies in a journal."""

    def __init__(
        self,
        teller: Teller,
        journal: Journal,
        pace: Pace,
        budget: Budget,
        board: Board,
        at_once: int = 8,
        patience: Patience | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._teller, self._journal, self._pace, self._budget = teller, journal, pace, budget
        self._board, self._at_once, self._sleep = board, at_once, sleep
        self._patience = patience or Patience()
        self._rng = random.Random(0)
        self._outcome = Outcome()
        self._in_a_row = 0

    def run(self, requests: Iterable[Request]) -> Outcome:
        """Ask for every reply that the journal does not have yet; returns when all is kept.

        Requests are taken one by one, when there is room for them. Ctrl-C lets the replies under
        way come in; a second one raises ``KeyboardInterrupt``. Raises an ``EndpointError`` where
        going on makes no sense, and ``OSError`` where replies cannot be written.
        """
        try:
            return asyncio.run(self._run(requests))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None

    async def _run(self, requests: Iterable[Request]) -> Outcome:
        self._stop = asyncio.Event()
        self._settled = asyncio.Condition()
        waiting = iter(requests)
        try:
            with self._interruptible(), self._board:
                async with asyncio.TaskGroup() as group:
                    for _ in range(self._at_once):
                        group.create_task(self._work(waiting))
        except* (EndpointError, OSError) as errors:
            raise _first(errors) from None
        finally:
            await self._journal.flush()
            await self._teller.close()
        return self._outcome

    async def _work(self, waiting: Iterator[Request]) -> None:
        for request in waiting:
            if request in self._journal:
                self._board.already()
                continue
            try:
                await self._settle(request)
            except BudgetSpent as error:
                self._outcome.stopped = error
                self._stop.set()
            except _Stopped:
                pass
            if self._stop.is_set():
                return

    async def _settle(self, request: Request) -> None:
        """Ask until the reply is kept, or the request counts as failed."""
        try:
            reply = await self._insist(request)
        except Refusal as refusal:
            self._fail(Failure(request.id, refusal.reason))
            return
        await self._journal.keep(request, reply)
        self._in_a_row = 0
        self._outcome.kept += 1
        self._board.kept(self._budget.spent)

    def _fail(self, failure: Failure) -> None:
        self._outcome.failures.append(failure)
        self._board.failed(self._budget.spent)
        self._in_a_row += 1
        if self._in_a_row >= _IN_A_ROW:
            raise Unsuitable(
                f"{_IN_A_ROW} requests in a row came to nothing, the last one, {failure.id!r}, "
                f"with {failure.reason}",
                "Check the model and the settings. The replies that came are kept.",
            )

    async def _insist(self, request: Request) -> Reply:
        for attempt in range(1, self._patience.attempts + 1):
            try:
                return await self._attempt(request)
            except Trouble as trouble:
                wait = self._after(trouble, attempt)
                if attempt == self._patience.attempts:
                    last = trouble
                    break
                await self._rest(wait)
        if not last.connected:
            raise _unreachable(last)
        raise Refusal(f"{last.reason} ({self._patience.attempts} attempts)")

    def _after(self, trouble: Trouble, attempt: int) -> float:
        """What trouble means for everyone; returns the seconds that its request is to wait."""
        if not trouble.connected and not self._outcome.kept:
            raise _unreachable(trouble)
        if trouble.wait is not None and trouble.wait > self._patience.asked:
            raise Unreachable(
                f"The endpoint asks to wait for {trouble.wait:,.0f} seconds ({trouble.reason})",
                "The replies that came are kept: start the same command again then.",
            )
        wait = self._patience.wait(attempt, trouble, self._rng)
        if trouble.limited and trouble.wait is not None:
            self._pace.pause(trouble.wait)
        self._board.trouble(trouble.reason)
        return wait

    async def _attempt(self, request: Request) -> Reply:
        """One attempt, when limits and budget allow it; what it cost is counted however it ends."""
        most = Usage(request.tokens(), self._teller.sampling.max_tokens)
        reserved = await self._afford(most)
        usage = Usage()
        try:
            turn = await self._turn(most)
            reply = await self._teller.reply(request)
            usage = reply.usage
            self._pace.settle(turn, usage.read + usage.written)
            return reply
        except Trouble as trouble:
            if trouble.text:
                usage = estimate(request, trouble.text)
                await self._journal.keep_cut(request, trouble.text, usage)
            raise
        finally:
            self._budget.settle(reserved, usage)
            async with self._settled:
                self._settled.notify_all()

    async def _afford(self, most: Usage) -> float:
        async with self._settled:
            while (reserved := self._budget.reserve(most)) is None:
                await self._settled.wait()
                self._check()
        return reserved

    async def _turn(self, most: Usage) -> Turn:
        while not isinstance(turn := self._pace.take(most.read + most.written), Turn):
            await self._rest(turn)
        self._check()
        return turn

    async def _rest(self, seconds: float) -> None:
        """Wait, unless everything ends meanwhile."""
        sleeping = asyncio.ensure_future(self._sleep(seconds))
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait((sleeping, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            stopping.cancel()
        self._check()

    def _check(self) -> None:
        if self._stop.is_set():
            raise _Stopped

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """The first Ctrl-C lets what is under way come in; the second ends it all at once."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def interrupt() -> None:
            if self._outcome.interrupted and task is not None:
                task.cancel()
            self._outcome.interrupted = True
            self._stop.set()
            self._board.say("Waiting for the replies under way. Ctrl-C again drops them.")

        try:
            loop.add_signal_handler(signal.SIGINT, interrupt)
        except (NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
            yield
            return
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)


def _unreachable(trouble: Trouble) -> Unreachable:
    return Unreachable(
        f"Nobody answers: {trouble.reason}",
        "Check the URL, and that the server runs. The replies that came are kept: start the same "
        "command again.",
    )


def _first(errors: BaseExceptionGroup[EndpointError | OSError]) -> BaseException:
    """The first error within groups of groups."""
    found: BaseException = errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


def monotonic() -> float:
    """The clock of :class:`training.endpoint.pace.Pace`, in seconds."""
    return time.monotonic()
