"""What a run tells: lines of JSON always, TensorBoard by choice, and a line of text for people."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch

from llava_core.training.task import TrainingError

FILE = "metrics.jsonl"
Report = Callable[[str], None]


class Metrics:
    """Figures of a run in ``folder``: ``metrics.jsonl`` and, with ``tensorboard``, its event files.

    A run that continues from step n forgets the lines after n: they will be written again.
    """

    def __init__(self, folder: Path, report: Report, name: str, tensorboard: bool = False) -> None:
        self._path = folder / FILE
        self._report, self._name = report, name
        self._board: Any = _board(folder) if tensorboard else None

    def forget_after(self, step: int) -> None:
        """Drop the lines of later steps; a line that was half written when a run died, too."""
        drop_lines_after(self._path, step)

    def write(self, step: int, minutes: float, left: float, figures: dict[str, float]) -> None:
        """One line; ``minutes`` trained so far, ``left`` minutes to go."""
        if not figures:
            return
        line = {"step": step, "minutes": round(minutes, 2), **figures}
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        if self._board is not None:
            for key, value in figures.items():
                self._board.add_scalar(key, value, step)
        words = "  ".join(f"{key.replace('_', ' ')} {value:.4g}" for key, value in figures.items())
        self._report(f"[{self._name}] step {step}  {words}  {left:.1f} min left")

    def close(self) -> None:
        """Write out what TensorBoard holds back."""
        if self._board is not None:
            self._board.close()


class Stopwatch:
    """Time that passes."""

    def __init__(self) -> None:
        self._started = time.perf_counter()

    def lap(self) -> float:
        """Seconds since the last lap."""
        started, self._started = self._started, time.perf_counter()
        return self._started - started


def memory_gb(device: torch.device) -> float:
    """The most memory that this process has used: on a GPU there, else of the whole process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return float(psutil.Process().memory_info().rss) / 1e9


def drop_lines_after(path: Path, step: int) -> None:
    """Drop from a file of JSON lines those of later steps, and what is no whole line."""
    if not path.exists():
        return
    *lines, _ = path.read_text("utf-8").split("\n")
    kept = [line for line in lines if _step_of(line) <= step]
    draft = path.with_suffix(".tmp")
    draft.write_text("".join(f"{line}\n" for line in kept), "utf-8")
    os.replace(draft, path)


def _step_of(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return 1 << 62


def _board(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise TrainingError(
            "TensorBoard is not installed. Install it (pip install tensorboard), or leave out "
            "tensorboard: true; metrics.jsonl is written in any case."
        ) from error
    return SummaryWriter(str(folder / "tensorboard"))
