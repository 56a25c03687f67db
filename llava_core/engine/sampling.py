"""How the next token is chosen from the logits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SamplingParams:
    """Sampling of one answer.

    ``temperature`` 0 is greedy. ``seed`` makes a sampled answer repeatable, whatever else runs.
    Raises ``ValueError`` for values out of range.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise ValueError(f"temperature must be 0 or more, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, not {self.top_p}")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, not {self.max_tokens}")


class Sampler:
    """Chooses tokens for one answer with a random generator of its own."""

    def __init__(self, params: SamplingParams) -> None:
        self.params = params
        self._generator = torch.Generator()
        if params.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(params.seed)

    def choose(self, logits: Tensor) -> int:
        """The next token's id, from logits (vocabulary,)."""
        if self.params.temperature == 0:
            return int(logits.argmax())
        below = logits.double().cpu() - logits.max().double().cpu()  # at most 0: cannot overflow
        probabilities = torch.softmax(below / self.params.temperature, -1)
        if self.params.top_p < 1:
            probabilities = nucleus(probabilities, self.params.top_p)
        return int(torch.multinomial(probabilities, 1, generator=self._generator))


def nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """Only the most likely tokens that together reach ``top_p`` (https://arxiv.org/abs/1904.09751).

    ``probabilities``: (vocabulary,); the result sums to 1 and keeps at least one token.
    """
    ordered, order = probabilities.sort(descending=True)
    before = ordered.cumsum(0) - ordered
    kept = ordered * (before < top_p)
    result = torch.zeros_like(probabilities).scatter(0, order, kept)
    return result / result.sum()
