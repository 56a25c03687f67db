"""What a run tells: lines of JSON always, TensorBoard or trackio by choice; lines for people."""

from __future__ import annotations

import importlib
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import psutil
import torch

from llava_core.training.task import TrainingError

FILE = "metrics.jsonl"
Report = Callable[[str], None]
Board = Literal["tensorboard", "trackio"]


class Metrics:
    """Figures of a run in ``folder``: ``metrics.jsonl`` and whatever ``boards`` there are.

    A run that continues from step n forgets the lines after n: they will be written again.
    """

    def __init__(
        self, folder: Path, report: Report, name: str, boards: Sequence[Board] = ()
    ) -> None:
        self._path = folder / FILE
        self._report, self._name = report, name
        self._boards = [BOARDS[board](folder) for board in boards]

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
        for board in self._boards:
            board.write(step, figures)
        words = "  ".join(f"{key.replace('_', ' ')} {value:.4g}" for key, value in figures.items())
        self._report(f"[{self._name}] step {step}  {words}  {left:.1f} min left")

    def close(self) -> None:
        """Write out what TensorBoard or trackio hold back."""
        for board in self._boards:
            board.close()


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


class _TensorBoard:
    """Event files in the run's folder."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise _not_installed("tensorboard") from error
        self._writer: Any = SummaryWriter(str(folder / "tensorboard"))

    def write(self, step: int, figures: dict[str, float]) -> None:
        """Figures of a step."""
        for key, value in figures.items():
            self._writer.add_scalar(key, value, step)

    def close(self) -> None:
        self._writer.close()


class _Trackio:
    """A run of trackio's project ``llava-studio``, called after the run's folder, where trackio
    keeps its own (``TRACKIO_DIR``); a run that continues goes on there."""

    def __init__(self, folder: Path) -> None:
        try:
            trackio: Any = importlib.import_module("trackio")
        except ImportError as error:
            raise _not_installed("trackio") from error
        self._run = trackio.init("llava-studio", name=folder.name, resume="allow", embed=False)

    def write(self, step: int, figures: dict[str, float]) -> None:
        self._run.log(figures, step=step)

    def close(self) -> None:
        self._run.finish()


BOARDS: dict[Board, type[_TensorBoard] | type[_Trackio]] = {
    "tensorboard": _TensorBoard,
    "trackio": _Trackio,
}


def _not_installed(board: str) -> TrainingError:
    return TrainingError(
        f"{board} is not installed. Install it (pip install {board}), or leave out log.{board}: "
        "metrics.jsonl is written in any case."
    )
