"""What the loop trains: the border between the loop and the data, the model and the objective."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from accelerate import Accelerator
from torch import Tensor, nn


class TrainingError(Exception):
    """Training cannot go on; the message says why and what to do."""


class Task(ABC):
    """Something to train: a module, its optimisers, and the loss of every step.

    The loss of step *n* follows from the data and *n* alone, so that a run which was interrupted
    continues with the very batches that it would have seen.
    """

    module: nn.Module
    optimisers: list[torch.optim.Optimizer]

    def prepare(self, accelerator: Accelerator) -> None:  # noqa: B027
        """Called once before the first step; tasks that train in several processes use it."""

    def number_of_parts(self, step: int) -> int:
        """How many parts :meth:`part_losses` gives for ``step``."""
        return 1

    def part_losses(self, step: int) -> Iterator[Tensor]:
        """The parts of the loss of ``step``, scalars whose sum it is, one after the other.

        Each part's gradient is taken before the next part is asked for: gradient accumulation.
        """
        yield self.loss(step)

    @abstractmethod
    def loss(self, step: int) -> Tensor:
        """The mean loss of batch number ``step``, a scalar with gradient."""

    def evaluate(self) -> dict[str, float]:
        """Figures for the log, between steps; may be empty."""
        return {}

    def figures(self) -> dict[str, float]:
        """What has been counted since the last call, such as tokens; may be empty."""
        return {}

    def name_batch(self, step: int) -> str:
        """Which data the batch of ``step`` holds, for error messages."""
        return f"batch {step}"

    def close(self) -> None:  # noqa: B027
        """End background work; called however the run ends."""
