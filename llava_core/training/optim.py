"""Optimisers: Muon for matrices, AdamW for the rest, and the learning rate over a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    """The nearest (semi-)orthogonal matrix to ``matrix``, roughly, by Newton-Schulz iteration.

    In float32, because :class:`torch.optim.Muon` iterates in bfloat16, which takes seconds a step
    on processors without it. Coefficients: https://kellerjordan.github.io/posts/muon/
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.size(0) > matrix.size(1)
    x: Tensor = matrix.float().T if tall else matrix.float()
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised, for two-dimensional weights (Jordan et al. 2024)."""

    def __init__(self, params: Iterable[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of all parameters that have a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group["lr"], group["momentum"])

    def _update(self, parameter: Tensor, lr: float, momentum: float) -> None:
        state: dict[str, Any] = self.state[parameter]
        gradient = parameter.grad
        assert gradient is not None
        buffer = state.setdefault("momentum", torch.zeros_like(gradient))
        buffer.lerp_(gradient, 1 - momentum)
        update = orthogonalise(gradient.lerp(buffer, momentum))
        scale = max(1.0, parameter.size(0) / parameter.size(1)) ** 0.5
        parameter.add_(update.to(parameter.dtype), alpha=-lr * scale)


def muon_and_adamw(
    matrices: list[nn.Parameter], others: list[nn.Parameter], muon_lr: float, adam_lr: float
) -> list[torch.optim.Optimizer]:
    """Muon for ``matrices`` and AdamW without weight decay for ``others``."""
    adam = torch.optim.AdamW(others, lr=adam_lr, betas=(0.9, 0.98), weight_decay=0.0)
    return [Muon(matrices, lr=muon_lr), adam]


def cosine(progress: float, warm_up: float = 0.03, floor: float = 0.02) -> float:
    """Factor on the learning rate at ``progress`` in 0..1: linear warm-up, then cosine to a floor.

    The paper's schedule (section 4): 3% warm-up and cosine decay.
    """
    if progress < warm_up:
        return max(progress / warm_up, 0.01)
    done = min((progress - warm_up) / (1 - warm_up), 1.0)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))
