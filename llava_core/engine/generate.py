"""Plain generation, one answer at a time: prefill once, then one decode step for each token.

It runs any image-text model of transformers; the engine runs those of the LLaVA family.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from llava_core.conversation import Conversation
from llava_core.engine.answer import Answer, Piece
from llava_core.engine.sampling import Choice, Sampler, SamplingParams
from llava_core.model import Checkpoint, ModelInputs


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
    answer = Answer(checkpoint, params, inputs.prompt_tokens, min(params.max_tokens, room))
    steps = decode_steps(checkpoint, inputs, answer.sampler)
    while not answer.finished:
        if cancelled():
            yield answer.cut()
            return
        yield answer.add(next(steps))


@torch.inference_mode()
def decode_steps(checkpoint: Checkpoint, inputs: ModelInputs, sampler: Sampler) -> Iterator[Choice]:
    """Token after token without end; each one costs one step of the model."""
    seen = set(inputs.input_ids[0].tolist()) - {checkpoint.renderer.image_token_id}
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
