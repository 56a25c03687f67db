"""An answer as it grows: from chosen tokens to text that can be shown, and to its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from llava_core.engine.sampling import Choice, Sampler, SamplingParams, TokenName, TokenNames
from llava_core.engine.text import IncrementalText, StopStrings
from llava_core.model import Checkpoint

FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True)
class Piece:
    """One step of an answer.

    ``text`` is new text, empty while a character or a possible stop string is incomplete.
    ``token_id`` is None where no token was chosen (the last piece of an answer that was cut).
    ``finish_reason`` is set on the last piece only. ``choice`` is what the step chose, also where
    its text is held back; ``names`` has the names of its tokens where log-probabilities are told.
    """

    text: str
    token_id: int | None
    finish_reason: FinishReason | None
    prompt_tokens: int
    completion_tokens: int
    choice: Choice | None = None
    names: Mapping[int, TokenName] = field(default_factory=dict)


class Answer:
    """The state of one answer: its text so far, and whether it has ended."""

    def __init__(
        self, checkpoint: Checkpoint, params: SamplingParams, prompt_tokens: int, most: int
    ) -> None:
        self.sampler = Sampler(params)
        self.finished = False
        self._ends = end_tokens(checkpoint)
        self._text = IncrementalText(checkpoint.tokenizer)
        self._names = TokenNames(checkpoint.tokenizer) if params.logprobs is not None else None
        self._stop = StopStrings(params.stop)
        self._prompt_tokens = prompt_tokens
        self._most = most
        self._tokens = 0
        self._started = False

    def add(self, choice: Choice) -> Piece:
        """Take in one token; the piece says what it adds, and whether it is the last."""
        self._tokens += 1
        if choice.token_id in self._ends:
            return self._last(choice, "stop", self._stop.push(self._text.flush()))
        text = self._stop.push(self._text.push(choice.token_id))
        if self._stop.found:
            return self._last(choice, "stop", text)
        if self._tokens >= self._most:
            return self._last(choice, "length", text + self._stop.push(self._text.flush()))
        return self._piece(self._trimmed(text), choice, None)

    def cut(self) -> Piece:
        """The last piece of an answer that nobody waits for any more."""
        return self._last(None, "cancelled", "")

    def _last(self, choice: Choice | None, reason: FinishReason, text: str) -> Piece:
        self.finished = True
        if not self._stop.found:
            text += self._stop.flush()
        return self._piece(self._trimmed(text), choice, reason)

    def _trimmed(self, text: str) -> str:
        """Without the space that many templates leave between prompt and answer."""
        if not self._started:
            text = text.lstrip(" ")
            self._started = bool(text)
        return text

    def _piece(self, text: str, choice: Choice | None, reason: FinishReason | None) -> Piece:
        token = choice.token_id if choice else None
        names = self._names.of(choice) if self._names and choice else {}
        return Piece(text, token, reason, self._prompt_tokens, self._tokens, choice, names)


def end_tokens(checkpoint: Checkpoint) -> frozenset[int]:
    """Ids that end an answer: of the generation config, and the tokenizer's end token."""
    configured = checkpoint.model.generation_config
    ends = getattr(configured, "eos_token_id", None)
    listed = ends if isinstance(ends, list) else [ends]
    return frozenset(int(i) for i in (*listed, checkpoint.tokenizer.eos_token_id) if i is not None)
