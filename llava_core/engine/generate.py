"""Plain generation, one answer at a time.

It runs any image-text model of transformers; the engine runs those of the LLaVA family whose
language model it knows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from queue import SimpleQueue
from typing import Any

import torch
from torch import Tensor

from llava_core.conversation import Conversation
from llava_core.engine.answer import Answer, Piece
from llava_core.engine.sampling import Choice, Sampler, SamplingParams
from llava_core.model import Checkpoint, ModelInputs
from llava_core.threads import compute_with_helpers


def generate(
    checkpoint: Checkpoint,
    conversation: Conversation,
    params: SamplingParams | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Piece]:
    """The answer to the conversation's last message, as it is written.

    ``cancelled`` is asked before every step. The answer ends with "stop" (end token or stop
    string), "length" (``max_tokens`` or the end of the context) or "cancelled". Raises
    :class:`llava_core.errors.ContextError`, :class:`llava_core.errors.TemplateError` and
    :class:`llava_core.errors.NotANumber`.
    """
    params = params or SamplingParams()
    inputs = checkpoint.prepare(conversation)
    room = checkpoint.context_length - inputs.prompt_tokens
    most = min(params.max_tokens, room)
    answer = Answer(checkpoint, params, inputs.prompt_tokens, most)
    if checkpoint.in_family:
        steps = decode_steps(checkpoint, inputs, answer.sampler)
    else:
        steps = _by_the_model(checkpoint, inputs, answer.sampler, most)
    with closing(steps):
        while not answer.finished:
            if cancelled():
                yield answer.cut()
                return
            yield answer.add(next(steps))


@torch.inference_mode()
def decode_steps(
    checkpoint: Checkpoint, inputs: ModelInputs, sampler: Sampler
) -> Generator[Choice]:
    """Tokens without end: the prompt once, then a step of the model for each."""
    seen = _seen(checkpoint, inputs)
    output = _forward(checkpoint, inputs.input_ids, None, **inputs.pictures)
    while True:
        choice = sampler.pick(output.logits[0, -1], seen)
        yield choice
        seen.add(choice.token_id)
        following = torch.tensor([[choice.token_id]], device=checkpoint.device)
        output = _forward(checkpoint, following, output.past_key_values)


def _forward(checkpoint: Checkpoint, ids: Tensor, cache: Any, **pictures: Tensor) -> Any:
    with torch.inference_mode():
        return checkpoint.model(
            input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1, **pictures
        )


def _seen(checkpoint: Checkpoint, inputs: ModelInputs) -> set[int]:
    """Tokens that a repetition penalty counts."""
    return set(inputs.input_ids[0].tolist()) - {checkpoint.renderer.image_token_id}


# --- architectures outside the family -------------------------------------------------------------


def _by_the_model(
    checkpoint: Checkpoint, inputs: ModelInputs, sampler: Sampler, most: int
) -> Generator[Choice]:
    """Tokens by the model's own ``generate``, which alone knows what its steps take.

    It runs in a thread of its own, which waits between tokens until the next one is asked for.
    """
    run = _Run(checkpoint, inputs, sampler, most)
    try:
        while True:
            yield run.next()
    finally:
        run.end()


class _Run:
    """A call of ``generate`` whose tokens our sampler chooses, one when it is asked for."""

    def __init__(
        self, checkpoint: Checkpoint, inputs: ModelInputs, sampler: Sampler, most: int
    ) -> None:
        self._checkpoint = checkpoint
        self._inputs = inputs
        self._sampler = sampler
        self._most = most
        self._seen = _seen(checkpoint, inputs)
        self._made: SimpleQueue[Choice | Exception] = SimpleQueue()
        self._wanted = threading.Semaphore(0)
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="generate", daemon=True)
        self._thread.start()

    def next(self) -> Choice:
        """The next token; raises what the model raised."""
        self._wanted.release()
        made = self._made.get()
        if isinstance(made, Exception):
            raise made
        return made

    def end(self) -> None:
        """Stop; returns when the model has."""
        self._ended = True
        self._wanted.release()
        self._thread.join()

    def _run(self) -> None:
        compute_with_helpers()
        try:
            with torch.inference_mode():
                model: Any = self._checkpoint.model
                model.generate(
                    input_ids=self._inputs.input_ids,
                    **self._inputs.pictures,
                    max_new_tokens=self._most,
                    do_sample=False,
                    num_beams=1,
                    logits_processor=[self._choose],
                    stopping_criteria=[self._stop],
                )
            self._made.put(RuntimeError("the model ended before its answer"))
        except Exception as error:
            self._made.put(error)

    def _choose(self, _ids: Tensor, scores: Tensor) -> Tensor:
        """Scores (1, vocabulary) in which only the sampler's token is left."""
        self._wanted.acquire()
        if self._ended:
            return scores
        choice = self._sampler.pick(scores[0], self._seen)
        self._seen.add(choice.token_id)
        self._made.put(choice)
        only = torch.full_like(scores, float("-inf"))
        only[0, choice.token_id] = 0
        return only

    def _stop(self, ids: Tensor, _scores: Any, **_: Any) -> Tensor:
        return torch.full((len(ids),), self._ended, device=ids.device)
