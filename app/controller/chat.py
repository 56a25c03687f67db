"""One question from check to a stored turn and an answer in work."""

from __future__ import annotations

import asyncio

from app.access import limits_of
from app.controller.limits import AskingLimits
from app.controller.registry import Registry
from app.controller.run import Run, Services
from app.controller.turns import TurnMaker
from app.db.store import Store
from app.protocol import ChatRequest, Sampling
from app.settings import Settings


class Chat:
    """Answers questions with the workers of the registry and stores everything."""

    def __init__(self, services: Services, settings: Settings) -> None:
        self._services, self._settings = services, settings
        self._turns = TurnMaker(services.store, settings)
        self._limits = AskingLimits(limits_of(settings), services.clock)
        self._starting: set[asyncio.Task[Run]] = set()
        self._runs: dict[Run, asyncio.Task[None]] = {}

    @property
    def store(self) -> Store:
        """Where everything is kept."""
        return self._services.store

    @property
    def registry(self) -> Registry:
        """The workers."""
        return self._services.registry

    async def begin(self, request: ChatRequest, person: str, request_id: str) -> Run:
        """Check and store the question, and have a worker begin its answer.

        Raises :class:`app.errors.StudioError` where anything is wrong before the answer has begun.
        """
        run = await self.launch(request, person, request_id)
        await run.opened()
        return run

    async def launch(self, request: ChatRequest, person: str, request_id: str) -> Run:
        """The same without waiting for a worker: the run tells itself why none took it."""
        starting = asyncio.create_task(self._start(request, person, request_id))
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # The question is being stored: it gets an answer, which is cancelled at once.
            starting.add_done_callback(_cancel_started)
            raise

    async def _start(self, request: ChatRequest, person: str, request_id: str) -> Run:
        self._limits.begin(person)
        try:
            run = await self._stored(request, person, request_id)
        except BaseException:
            self._limits.end(person)
            raise
        task = self._runs[run] = run.start()
        task.add_done_callback(lambda _: self._runs.pop(run))
        task.add_done_callback(lambda _: self._limits.end(person))
        return run

    async def _stored(self, request: ChatRequest, person: str, request_id: str) -> Run:
        choice = self.registry.pick(request.model)
        sampling = self._sampling(request)
        prepared = await asyncio.to_thread(
            self._turns.prepare, request, person, choice.model, sampling
        )
        body = {
            "model": choice.model.id,
            "messages": prepared.messages,
            **sampling.model_dump(exclude_none=True),
        }
        return Run(self._services, choice, prepared.begun, body, request_id)

    def _sampling(self, request: ChatRequest) -> Sampling:
        sampling = request.sampling()
        if request.max_tokens is None and request.max_completion_tokens is None:
            longest = self._settings.default_max_tokens
            return sampling.model_copy(update={"max_tokens": longest})
        return sampling

    def stop(self, conversation_id: str) -> None:
        """Cancel the answers in work of a conversation that has been deleted."""
        for run in self._runs:
            if run.begun.conversation_id == conversation_id:
                run.cancel()

    async def close(self) -> None:
        """Cancel all answers in work and wait until they are stored."""
        await asyncio.gather(*self._starting, return_exceptions=True)
        for run in self._runs:
            run.cancel()
        await asyncio.gather(*self._runs.values())


def _cancel_started(starting: asyncio.Task[Run]) -> None:
    if not starting.cancelled() and starting.exception() is None:
        starting.result().cancel()
