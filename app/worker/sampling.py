"""The sampling parameters of a request as the model takes them."""

from __future__ import annotations

from app.protocol import Sampling
from llava_core.engine.sampling import SamplingParams


def params_of(sampling: Sampling) -> SamplingParams:
    """The same values under the core's names."""
    return SamplingParams(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        min_p=sampling.min_p,
        repetition_penalty=sampling.repetition_penalty,
        max_tokens=sampling.max_tokens,
        stop=tuple(sampling.stop),
        seed=sampling.seed,
        logprobs=sampling.top_logprobs if sampling.logprobs else None,
    )
