"""What the worker needs of a model: its description, and an answer piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from app.protocol import FinishReason, ModelInfo, Sampling
from llava_core.conversation import Conversation
from llava_core.engine.engine import Engine
from llava_core.engine.sampling import Choice, TokenName


class Piece(Protocol):
    """A step of an answer; :class:`llava_core.engine.answer.Piece` is one."""

    @property
    def text(self) -> str:
        """New text; empty while a character is not complete yet."""

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the answer ended; None on all pieces but the last."""

    @property
    def prompt_tokens(self) -> int:
        """Tokens before the answer: text and visual tokens together."""

    @property
    def completion_tokens(self) -> int:
        """Tokens of the answer so far."""

    @property
    def choice(self) -> Choice | None:
        """The step's token with its log-probability; read only where the request asks for them."""

    @property
    def names(self) -> Mapping[int, TokenName]:
        """How the tokens of ``choice`` are shown, by id; read as ``choice`` is."""


class Backend(Protocol):
    """One served model."""

    @property
    def info(self) -> ModelInfo:
        """The model's entry in ``GET /v1/models``."""

    def generate(
        self, conversation: Conversation, sampling: Sampling, cancelled: Callable[[], bool]
    ) -> Iterator[Piece]:
        """The answer to the conversation's last message, as it is written.

        ``cancelled`` is asked before each decode step; once it is true, the iterator ends. It runs
        in a thread of its own and is called for one request at a time.
        """


@dataclass(frozen=True)
class EngineBackend:
    """One served model that answers many requests at once."""

    info: ModelInfo
    engine: Engine
