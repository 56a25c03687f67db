"""The loop: the same losses however often it is interrupted, and nothing good is lost."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from llava_core.training import state
from llava_core.training.loop import LoopConfig, Task, TrainingError, load_weights, train


class Toy(Task):
    """A small regression whose batches follow from the step; notes every loss."""

    def __init__(self, stop_at: int = -1, nan_at: int = -1) -> None:
        torch.manual_seed(0)
        self.module: nn.Module = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        self.optimisers: list[torch.optim.Optimizer] = [
            torch.optim.Adam(self.module.parameters(), lr=0.01)
        ]
        self.stop_at, self.nan_at = stop_at, nan_at
        self.losses: dict[int, float] = {}

    def loss(self, step: int) -> Tensor:
        if step == self.stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        generator = torch.Generator().manual_seed(step)
        inputs = torch.randn(16, 4, generator=generator)
        loss: Tensor = ((self.module(inputs).float() - inputs.sum(1, keepdim=True)) ** 2).mean()
        self.losses[step] = loss.item()
        return loss * float("nan") if step == self.nan_at else loss

    def evaluate(self) -> dict[str, float]:
        return {"figure": 1.0}


def run(task: Toy, folder: Path, **config: float) -> None:
    train(task, LoopConfig(steps=30, **config), folder, lambda _: None)  # type: ignore[arg-type]


@pytest.mark.parametrize("stop_at", [0, 7, 29])
def test_an_interrupted_run_gives_the_same_losses_bit_for_bit(tmp_path: Path, stop_at: int) -> None:
    whole = Toy()
    run(whole, tmp_path / "whole")
    first = Toy(stop_at=stop_at)
    with pytest.raises(KeyboardInterrupt):
        run(first, tmp_path / "cut")
    second = Toy()
    run(second, tmp_path / "cut")
    assert {**first.losses, **second.losses} == whole.losses
    assert min(second.losses, default=30) == stop_at + 1, "no step is done twice"
    for mine, theirs in zip(second.module.parameters(), whole.module.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    run(Toy(), tmp_path)
    again = Toy()
    run(again, tmp_path)
    assert again.losses == {}
    fresh = Toy()
    load_weights(fresh.module, tmp_path)
    for mine, theirs in zip(fresh.module.parameters(), again.module.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_last_good_state(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(Toy(stop_at=10), tmp_path)
    good = (tmp_path / "state.pt").read_bytes()
    with pytest.raises(TrainingError, match="loss of step 15 is nan"):
        run(Toy(nan_at=15), tmp_path)
    assert (tmp_path / "state.pt").read_bytes() == good
    assert not (tmp_path / "done").exists()


class Steep(Toy):
    """A loss that is a number with a gradient that is none, as 16 bits give."""

    def loss(self, step: int) -> Tensor:
        whole = super().loss(step)
        return whole + torch.sqrt(whole * 0) if step == 15 else whole


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_a_gradient_that_is_not_a_number_never_reaches_the_weights(
    tmp_path: Path, clip: float
) -> None:
    task = Steep()
    with pytest.raises(TrainingError, match="gradient's norm of step 15 is nan"):
        run(task, tmp_path, clip=clip, save_steps=5)
    assert all(parameter.isfinite().all() for parameter in task.module.parameters())
    run(Toy(), tmp_path, clip=clip)


def test_a_full_disk_keeps_the_last_good_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(Toy(stop_at=5), tmp_path)
    good = (tmp_path / "state.pt").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state.torch, "save", full)
    with pytest.raises(TrainingError, match="No space left") as caught:
        run(Toy(), tmp_path)
    assert "Free some disk space" in str(caught.value)
    assert (tmp_path / "state.pt").read_bytes() == good


class InParts(Toy):
    """Three parts a step."""

    def number_of_parts(self, step: int) -> int:
        return 3

    def part_losses(self, step: int) -> Iterator[Tensor]:
        for _ in range(3):
            yield self.loss(step) / 3


class Noting(Accelerator):
    """Notes at each backward pass whether a step of the optimiser is due."""

    due: list[bool]

    def backward(self, loss: Tensor, **options: Any) -> None:
        self.due = [*getattr(self, "due", []), self.sync_gradients]
        super().backward(loss, **options)


def test_accelerate_is_told_which_part_is_the_last(tmp_path: Path) -> None:
    """What steps inside the backward pass, as DeepSpeed does, must not step at every part."""
    accelerator, whole, parts = Noting(cpu=True), Toy(), InParts()
    train(parts, LoopConfig(steps=5), tmp_path / "a", lambda _: None, accelerator=accelerator)
    assert accelerator.due == [False, False, True] * 5
    train(whole, LoopConfig(steps=5), tmp_path / "b", lambda _: None)
    assert parts.losses == pytest.approx(whole.losses, rel=1e-4)


def test_metrics_are_lines_of_json(tmp_path: Path) -> None:
    run(Toy(), tmp_path, log_every=10, evaluate_every=15)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 15, 20, 30, 30]
    assert lines[-1]["figure"] == 1.0 and lines[0]["loss"] > lines[3]["loss"]


def test_the_time_limit_ends_it(tmp_path: Path) -> None:
    task = Toy()
    train(task, LoopConfig(steps=10**9, minutes=0.005), tmp_path, lambda _: None)
    assert (tmp_path / "done").exists() and 0 < len(task.losses) < 10**5
