"""An answer, token by token: prefill once, then one decode step for each token."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from llava_core.conversation import Conversation
from llava_core.engine.sampling import Sampler, SamplingParams
from llava_core.engine.text import IncrementalText, StopStrings
from llava_core.model import Checkpoint, ModelInputs

FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True)
class Piece:
    """One step of an answer.

    ``text`` is new text, empty while a character or a possible stop string is incomplete.
    ``token_id`` is None where no token was chosen (the last piece of an answer that was cut).
    ``finish_reason`` is set on the last piece only.
    """

    text: str
    token_id: int | None
    finish_reason: FinishReason | None
    prompt_tokens: int
    completion_tokens: int


def generate(
    checkpoint: Checkpoint,
    conversation: Conversation,
    params: SamplingParams | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Piece]:
    """The answer to the conversation's last message, as it is written.

    ``cancelled`` is asked before every step. The answer ends with "stop" (end token or stop
    string), "length" (``max_tokens`` or the end of the context) or "cancelled". Raises
    :class:`llava_core.errors.ContextError` and :class:`llava_core.errors.TemplateError`.
    """
    params = params or SamplingParams()
    inputs = checkpoint.prepare(conversation)
    room = checkpoint.context_length - inputs.prompt_tokens
    answer = _Answer(checkpoint, params, inputs.prompt_tokens, min(params.max_tokens, room))
    steps = decode_steps(checkpoint, inputs, answer.sampler)
    while not answer.finished:
        if cancelled():
            yield answer.cut()
            return
        yield answer.add(next(steps))


@torch.inference_mode()
def decode_steps(checkpoint: Checkpoint, inputs: ModelInputs, sampler: Sampler) -> Iterator[int]:
    """Token after token without end; each one costs one step of the model."""
    output = _forward(checkpoint, inputs.input_ids, None, **inputs.pictures)
    while True:
        token = sampler.choose(output.logits[0, -1])
        yield token
        following = torch.tensor([[token]], device=checkpoint.device)
        output = _forward(checkpoint, following, output.past_key_values)


def _forward(checkpoint: Checkpoint, ids: Tensor, cache: Any, **pictures: Tensor) -> Any:
    with torch.inference_mode():
        return checkpoint.model(
            input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1, **pictures
        )


class _Answer:
    """The state of one answer: its text so far, and whether it has ended."""

    def __init__(
        self, checkpoint: Checkpoint, params: SamplingParams, prompt_tokens: int, most: int
    ) -> None:
        self.sampler = Sampler(params)
        self.finished = False
        self._ends = end_tokens(checkpoint)
        self._text = IncrementalText(checkpoint.tokenizer)
        self._stop = StopStrings(params.stop)
        self._prompt_tokens = prompt_tokens
        self._most = most
        self._tokens = 0
        self._started = False

    def add(self, token: int) -> Piece:
        """Take in one token; the piece says what it adds, and whether it is the last."""
        self._tokens += 1
        if token in self._ends:
            return self._last(token, "stop", self._stop.push(self._text.flush()))
        text = self._stop.push(self._text.push(token))
        if self._stop.found:
            return self._last(token, "stop", text)
        if self._tokens >= self._most:
            return self._last(token, "length", text + self._stop.push(self._text.flush()))
        return self._piece(self._trimmed(text), token, None)

    def cut(self) -> Piece:
        """The last piece of an answer that nobody waits for any more."""
        return self._last(None, "cancelled", "")

    def _last(self, token: int | None, reason: FinishReason, text: str) -> Piece:
        self.finished = True
        if not self._stop.found:
            text += self._stop.flush()
        return self._piece(self._trimmed(text), token, reason)

    def _trimmed(self, text: str) -> str:
        """Without the space that many templates leave between prompt and answer."""
        if not self._started:
            text = text.lstrip(" ")
            self._started = bool(text)
        return text

    def _piece(self, text: str, token: int | None, reason: FinishReason | None) -> Piece:
        return Piece(text, token, reason, self._prompt_tokens, self._tokens)


def end_tokens(checkpoint: Checkpoint) -> frozenset[int]:
    """Ids that end an answer: of the generation config, and the tokenizer's end token."""
    configured = checkpoint.model.generation_config
    ends = getattr(configured, "eos_token_id", None)
    listed = ends if isinstance(ends, list) else [ends]
    return frozenset(int(i) for i in (*listed, checkpoint.tokenizer.eos_token_id) if i is not None)
