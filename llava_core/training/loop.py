"""THE training loop: steps, learning rate, gradient accumulation, states that resume, metrics.

Devices, processes and mixed precision are accelerate's: the same loop runs on a CPU, on a GPU, and
under ``accelerate launch`` with DDP, FSDP or DeepSpeed.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs

from llava_core.devices import native_bfloat16
from llava_core.training.metrics import Board, Metrics, Report, Stopwatch, memory_gb
from llava_core.training.optim import cosine
from llava_core.training.state import Position, States, load_weights
from llava_core.training.task import Task, TrainingError

__all__ = ["LoopConfig", "Task", "TrainingError", "load_weights", "make_accelerator", "train"]

PATIENCE = timedelta(days=1)
"""How long processes wait for the first one, which renders data and computes features; torch's own
ten minutes are too short for that."""


@dataclass(frozen=True)
class LoopConfig:
    """How long to train and how often to write.

    The run ends after ``steps`` or after ``minutes`` of training time, whichever comes first, and
    the learning rate follows whichever is further. The state is saved every ``save_seconds`` or
    ``save_steps``, whichever comes first (0: not by steps).
    """

    steps: int
    minutes: float = float("inf")
    clip: float = 1.0
    save_seconds: float = 60.0
    save_steps: int = 0
    log_every: int = 20
    evaluate_every: int = 0
    warm_up: float = 0.03
    floor: float = 0.02
    boards: tuple[Board, ...] = ()


def make_accelerator(device: torch.device) -> Accelerator:
    """accelerate as its own configuration says, with bfloat16 where the device multiplies it."""
    own = os.environ.get("ACCELERATE_MIXED_PRECISION")
    return Accelerator(
        cpu=device.type == "cpu",
        mixed_precision=own or ("bf16" if native_bfloat16(device) else "no"),
        step_scheduler_with_optimizer=False,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
    )


def train(
    task: Task,
    config: LoopConfig,
    folder: Path,
    report: Report = print,
    name: str = "train",
    accelerator: Accelerator | None = None,
) -> None:
    """Run the task to its end, or until interrupted; a later call continues where it stopped.

    Writes ``state.pt`` (weights, optimisers, position, random states) and ``metrics.jsonl`` into
    ``folder``, and ``done`` at the end. Raises :class:`KeyboardInterrupt` after saving on Ctrl-C or
    SIGTERM, and :class:`TrainingError` when the loss is not a number (the last good state stays).
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "done").exists():
            load_weights(task.module, folder)
            return
        accelerator = accelerator or make_accelerator(next(task.module.parameters()).device)
        _Run(task, config, folder, report, name, accelerator).go()
        (folder / "done").write_text("done\n")
    finally:
        task.close()


class _Run:
    def __init__(
        self,
        task: Task,
        config: LoopConfig,
        folder: Path,
        report: Report,
        name: str,
        accelerator: Accelerator,
    ) -> None:
        self.task, self.config, self.name = task, config, name
        self.accelerator = accelerator
        self.report = report if accelerator.is_main_process else _silent
        task.prepare(accelerator)
        self.states = States(accelerator, task, folder)
        self.metrics = Metrics(folder, self.report, name, config.boards if self._main else ())
        self.base_rates = [[g["lr"] for g in o.param_groups] for o in task.optimisers]
        self.position = Position()
        self.watch = Stopwatch()
        self.interrupted = False

    @property
    def _main(self) -> bool:
        return bool(self.accelerator.is_main_process)

    def go(self) -> None:
        restored = self.states.restore()
        if restored is not None:
            self.position = restored
            self.report(f"[{self.name}] continues at step {restored.step}")
        if self._main:
            self.metrics.forget_after(self.position.step)
        previous = {s: signal.signal(s, self._stop) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._steps()
        finally:
            self.metrics.close()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _steps(self) -> None:
        position, config = self.position, self.config
        saved = started = time.monotonic()
        before = position.seconds
        while (progress := self._progress()) < 1.0:
            position.loss_sum += self._one(progress)
            position.loss_count += 1
            position.step += 1
            position.seconds = self._over_processes(before + time.monotonic() - started)
            self._tell()
            if self._stopped():
                self.states.save(position)
                raise KeyboardInterrupt
            due = config.save_steps and position.step % config.save_steps == 0
            is_last = self._progress() >= 1.0
            if due or is_last or self._all_agree(time.monotonic() - saved > config.save_seconds):
                self.states.save(position)
                saved = time.monotonic()

    def _one(self, progress: float) -> float:
        """One step; returns its loss."""
        self._set_rates(progress)
        step, total = self.position.step, 0.0
        losses, parts = self.task.part_losses(step), self.task.number_of_parts(step)
        for part in range(parts):
            with self._syncing(is_last=part == parts - 1):
                with self.accelerator.autocast():
                    loss = next(losses)
                if not torch.isfinite(loss):
                    raise TrainingError(self._not_a_number("loss", loss.item()))
                self.accelerator.backward(loss)
            total += float(loss.item())
        self._clip()
        for optimiser in self.task.optimisers:
            optimiser.step()
        return self._over_processes(total)

    def _clip(self) -> None:
        """Limit the gradient's norm; one that is no number must not reach the weights."""
        trained = [p for p in self.task.module.parameters() if p.grad is not None]
        norm = self.accelerator.clip_grad_norm_(trained, self.config.clip or float("inf"))
        if norm is not None and not torch.isfinite(norm := torch.as_tensor(norm)):
            raise TrainingError(self._not_a_number("gradient's norm", norm.item()))

    def _set_rates(self, progress: float) -> None:
        factor = cosine(progress, self.config.warm_up, self.config.floor)
        for optimiser, rates in zip(self.task.optimisers, self.base_rates, strict=True):
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            optimiser.zero_grad(set_to_none=True)

    def _syncing(self, is_last: bool) -> AbstractContextManager[Any]:
        """Processes exchange gradients once a step, with its last part.

        accelerate is told, too: DeepSpeed takes its step inside the backward pass of that part.
        """
        self.accelerator.sync_gradients = is_last
        if is_last or self.accelerator.num_processes == 1:
            return nullcontext()
        unsynced: AbstractContextManager[Any] = self.accelerator.no_sync(self.task.module)
        return unsynced

    def _not_a_number(self, what: str, value: float) -> str:
        step = self.position.step
        place = self.task.name_batch(step)
        return (
            f"{self.name}: the {what} of step {step} is {value} ({place}). The last good state "
            "is kept. Look at these records (training.show), or lower the learning rate, and start "
            "again."
        )

    def _progress(self) -> float:
        by_time = self.position.seconds / 60 / self.config.minutes
        return max(self.position.step / self.config.steps, by_time)

    # --- telling ---

    def _tell(self) -> None:
        """Losses and evaluation of this step; told before its state is saved, so that a run which
        continues from there has told them once."""
        step, is_last = self.position.step, self._progress() >= 1.0
        if is_last or step % self.config.log_every == 0:
            self._log({**self._mean_loss(), **self._rates()})
        every = self.config.evaluate_every
        if is_last or (every and step % every == 0):
            self._log(self.task.evaluate())

    def _rates(self) -> dict[str, float]:
        """How fast the last steps went, and on what the time was spent."""
        seconds = max(self.watch.lap(), 1e-9)
        counted = self.task.figures()
        rates = {"learning_rate": self.task.optimisers[0].param_groups[0]["lr"]}
        if "tokens" in counted:
            rates["tokens_per_second"] = counted.pop("tokens") / seconds
        if "waited" in counted:
            rates["waiting_share"] = counted.pop("waited") / seconds
        return {**rates, "memory_gb": memory_gb(self.accelerator.device), **counted}

    def _mean_loss(self) -> dict[str, float]:
        """The mean loss since the last line."""
        position = self.position
        if not position.loss_count:
            return {}
        mean = position.loss_sum / position.loss_count
        position.loss_sum, position.loss_count = 0.0, 0
        return {"loss": mean}

    def _log(self, figures: dict[str, float]) -> None:
        if not self._main:
            return
        minutes = self.position.seconds / 60
        left = minutes / max(self._progress(), 1e-6) - minutes
        self.metrics.write(self.position.step, minutes, left, figures)

    # --- several processes ---

    def _over_processes(self, value: float) -> float:
        """The mean over processes, the same number in each of them."""
        if self.accelerator.num_processes == 1:
            return value
        mine = torch.tensor(value, dtype=torch.float64, device=self.accelerator.device)
        return float(self.accelerator.reduce(mine, "mean").item())

    def _all_agree(self, wish: bool) -> bool:
        """Whether any process wishes it: all save, or stop, at the same step."""
        if self.accelerator.num_processes == 1:
            return wish
        flag = torch.tensor(float(wish), device=self.accelerator.device)
        return bool(self.accelerator.reduce(flag, "sum").item() > 0)

    def _stopped(self) -> bool:
        return self._all_agree(self.interrupted)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.interrupted = True


def _silent(line: str) -> None:
    """What other processes than the first say."""
