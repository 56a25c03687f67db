"""THE training loop: steps, learning rate, checkpoints that resume, metrics.

A task gives the loss of step *n* from nothing but its own data and *n*, so that a run which was
interrupted continues with the very batches that it would have seen.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from llava_core.devices import native_bfloat16
from llava_core.training.optim import cosine


class TrainingError(Exception):
    """Training cannot go on; the message says why and what to do."""


class Task(Protocol):
    """What is trained: the module whose state is kept, its optimisers, the loss of a step."""

    module: nn.Module
    optimisers: list[torch.optim.Optimizer]

    def loss(self, step: int) -> Tensor:
        """The mean loss of batch number ``step``, a scalar with gradient."""

    def evaluate(self) -> dict[str, float]:
        """Figures for the log, between steps; may be empty."""


@dataclass(frozen=True)
class LoopConfig:
    """How long to train and how often to write.

    The run ends after ``steps`` or after ``minutes`` of training time, whichever comes first, and
    the learning rate follows whichever is further.
    """

    steps: int
    minutes: float = float("inf")
    clip: float = 1.0
    save_seconds: float = 60.0
    log_every: int = 20
    evaluate_every: int = 0
    warm_up: float = 0.03


Report = Callable[[str], None]


def train(
    task: Task, config: LoopConfig, folder: Path, report: Report = print, name: str = "train"
) -> None:
    """Run the task to its end, or until interrupted; a later call continues where it stopped.

    Writes ``state.pt`` (weights, optimisers, position) and ``metrics.jsonl`` into ``folder``, and
    ``done`` at the end. Raises :class:`KeyboardInterrupt` after saving on Ctrl-C or SIGTERM, and
    :class:`TrainingError` when the loss is not a number (the last good state stays).
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "done").exists():
        load_weights(task.module, folder)
        return
    _Run(task, config, folder, report, name).go()
    (folder / "done").write_text("done\n")


def load_weights(module: nn.Module, folder: Path) -> None:
    """The weights of the newest state in ``folder`` into ``module``."""
    state = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
    module.load_state_dict(state["module"])


class _Run:
    def __init__(
        self, task: Task, config: LoopConfig, folder: Path, report: Report, name: str
    ) -> None:
        self.task, self.config, self.folder = task, config, folder
        self.report, self.name = report, name
        device = next(task.module.parameters()).device
        self.accelerator = Accelerator(
            cpu=device.type == "cpu",
            mixed_precision="bf16" if native_bfloat16(device) else "no",
        )
        self.base_rates = [[g["lr"] for g in o.param_groups] for o in task.optimisers]
        self.step, self.seconds = 0, 0.0
        self.interrupted = False

    def go(self) -> None:
        self._restore()
        previous = {s: signal.signal(s, self._stop) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._steps()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _steps(self) -> None:
        saved = time.monotonic()
        started = time.monotonic()
        before = self.seconds
        smooth: float | None = None
        while (progress := self._progress()) < 1.0:
            loss = self._one(progress)
            smooth = loss if smooth is None else 0.95 * smooth + 0.05 * loss
            self.step += 1
            self.seconds = before + time.monotonic() - started
            if self.step % self.config.log_every == 0:
                self._log({"loss": smooth})
            if self.config.evaluate_every and self.step % self.config.evaluate_every == 0:
                self._log(self.task.evaluate())
            if self.interrupted:
                self._save()
                raise KeyboardInterrupt
            if time.monotonic() - saved > self.config.save_seconds:
                self._save()
                saved = time.monotonic()
        self._save()
        self._log({"loss": smooth or 0.0, **self.task.evaluate()})

    def _one(self, progress: float) -> float:
        factor = cosine(progress, self.config.warm_up)
        for optimiser, rates in zip(self.task.optimisers, self.base_rates, strict=True):
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            optimiser.zero_grad(set_to_none=True)
        with self.accelerator.autocast():
            loss = self.task.loss(self.step)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"{self.name}: the loss of step {self.step} is {loss.item()}; the state before it "
                f"is kept in {self.folder}. Lower the learning rate and start again."
            )
        self.accelerator.backward(loss)
        trained = [p for p in self.task.module.parameters() if p.grad is not None]
        nn.utils.clip_grad_norm_(trained, self.config.clip)
        for optimiser in self.task.optimisers:
            optimiser.step()
        return float(loss.item())

    def _progress(self) -> float:
        return max(self.step / self.config.steps, self.seconds / 60 / self.config.minutes)

    def _log(self, figures: dict[str, float]) -> None:
        if not figures:
            return
        left = self.seconds / max(self._progress(), 1e-6) - self.seconds
        line = {"step": self.step, "minutes": round(self.seconds / 60, 2), **figures}
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        words = "  ".join(f"{key} {value:.4g}" for key, value in figures.items())
        self.report(f"[{self.name}] step {self.step}  {words}  {left / 60:.1f} min left")

    def _save(self) -> None:
        state = {
            "module": self.task.module.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.task.optimisers],
            "step": self.step,
            "seconds": self.seconds,
        }
        target = self.folder / "state.pt"
        draft = target.with_suffix(".tmp")
        try:
            torch.save(state, draft)
            os.replace(draft, target)
        except OSError as error:
            raise TrainingError(
                f"{self.name}: the state could not be written to {self.folder} ({error}); the last "
                "good one is kept. Free some disk space and start again."
            ) from error

    def _restore(self) -> None:
        path = self.folder / "state.pt"
        if not path.exists():
            return
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        self.task.module.load_state_dict(state["module"])
        for optimiser, saved in zip(self.task.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.step, self.seconds = state["step"], state["seconds"]
        self.report(f"[{self.name}] continues at step {self.step}")

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.interrupted = True
