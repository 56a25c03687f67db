"""A checkpoint's answers to many questions at once, through the engine that serves.

Greedy answers in 32 bits do not depend on how many questions are in work: the engine's answers are
the same alone and among others (docs/engine.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from queue import SimpleQueue

from llava_core.conversation import Conversation
from llava_core.engine.answer import Piece
from llava_core.engine.building import default_limits
from llava_core.engine.decoder import why_not
from llava_core.engine.engine import Engine
from llava_core.engine.generate import generate
from llava_core.engine.sampling import SamplingParams
from llava_core.errors import CoreError
from llava_core.model import Checkpoint


class Answerer:
    """Answers conversations with one checkpoint, ``batch`` of them at once (0: as many as the
    engine would serve); models that the engine does not run are asked one after the other."""

    def __init__(self, checkpoint: Checkpoint, batch: int = 0, max_tokens: int = 512) -> None:
        self.checkpoint = checkpoint
        self._params = SamplingParams(temperature=0.0, max_tokens=max_tokens)
        self._engine: Engine | None = None
        if why_not(checkpoint.model) is None:
            limits = default_limits(checkpoint.device)
            limits.running = batch or limits.running
            self._engine = Engine(checkpoint, limits)

    def answers(self, asked: Iterable[tuple[str, Conversation]]) -> Iterator[tuple[str, str]]:
        """(id, text) of each (id, conversation), in the order in which they end.

        Raises :class:`llava_core.errors.CoreError` with the id of the question in its message.
        """
        if self._engine is None:
            return self._one_by_one(asked)
        return self._together(self._engine, iter(asked))

    def _one_by_one(self, asked: Iterable[tuple[str, Conversation]]) -> Iterator[tuple[str, str]]:
        for name, conversation in asked:
            pieces = generate(self.checkpoint, conversation, self._params)
            yield name, "".join(piece.text for piece in pieces).strip()

    def _together(
        self, engine: Engine, asked: Iterator[tuple[str, Conversation]]
    ) -> Iterator[tuple[str, str]]:
        texts: dict[str, str] = {}
        told: SimpleQueue[tuple[str, Piece | CoreError]] = SimpleQueue()
        more = True
        while more or texts:
            # One more than are in work, so that the next prompt is ready when a place is free.
            while more and len(texts) <= engine.limits.running:
                more = self._submit(engine, next(asked, None), texts, told)
            if texts:
                engine.step()
            while not told.empty():
                name, item = told.get()
                if isinstance(item, CoreError):
                    raise _about(name, item)
                texts[name] += item.text
                if item.finish_reason is not None:
                    yield name, texts.pop(name).strip()

    def _submit(
        self,
        engine: Engine,
        asked: tuple[str, Conversation] | None,
        texts: dict[str, str],
        told: SimpleQueue[tuple[str, Piece | CoreError]],
    ) -> bool:
        """Hand a question to the engine; False where there is none left."""
        if asked is None:
            return False
        name, conversation = asked
        try:
            engine.submit(conversation, self._params, lambda item: told.put((name, item)), name)
        except CoreError as error:
            raise _about(name, error) from error
        texts[name] = ""
        return True


def _about(name: str, error: CoreError) -> CoreError:
    return CoreError(f"question {name!r}: {error.message}", error.remedy)
