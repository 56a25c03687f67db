"""Where a stored answer looked: asked of a worker that serves the model that wrote it."""

from __future__ import annotations

import asyncio

from app.controller.run import Services
from app.controller.turns import history
from app.db.records import WrittenAnswer
from app.errors import BadRequest
from app.protocol import Explanation


class Explaining:
    """Explanations of stored answers; nothing of them is kept."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def explain(self, person: str, answer_id: str, request_id: str) -> Explanation:
        """Where the person's answer looked, word by word.

        Raises :class:`app.errors.NotFound` for other people's answers,
        :class:`app.errors.BadRequest` where there is nothing to explain, and what
        :meth:`app.controller.relay.Relay.explain` raises.
        """
        services = self._services
        stored = await asyncio.to_thread(services.store.written_answer, person, answer_id)
        _check(stored)
        choice = services.registry.pick(stored.model)
        if choice.model.revision != stored.revision:
            raise BadRequest(
                f"The weights of {choice.model.id} have changed since this answer was written.",
                "Regenerate the answer, and ask for the new one.",
            )
        messages = await asyncio.to_thread(history, services.store, stored.turns)
        services.registry.sent(choice.worker_id)
        try:
            return await services.relay.explain(choice, messages, request_id)
        finally:
            services.registry.ended(choice.worker_id)


def _check(stored: WrittenAnswer) -> None:
    if not stored.finished:
        raise BadRequest(
            "The answer is still being written.", "Wait for its end, or stop it, and ask again."
        )
    if not (stored.turns[-1].answer or "").strip():
        raise BadRequest("The answer has no words.", "Regenerate it, and ask for the new one.")
    if not any(turn.pictures for turn in stored.turns):
        raise BadRequest(
            "There is no picture before this answer.", "Ask about an answer to a picture."
        )
