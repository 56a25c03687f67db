"""Where a run stands: weights that train, optimisers, position and random states, in one file.

The file is written beside the last good one and takes its place when it is whole. Runs whose
weights are spread over processes (FSDP, DeepSpeed) keep a folder in accelerate's own format.
"""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from torch import Tensor, nn

from llava_core.training.task import Task, TrainingError

FILE = "state.pt"
SPREAD = "state-spread"
REPLICATED = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU)


@dataclass
class Position:
    """How far a run is: steps done, seconds trained, and the losses since the last line logged."""

    step: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    loss_count: int = 0


def trained_state(module: nn.Module) -> dict[str, Tensor]:
    """The parameters that train, by name, and nothing that can be loaded from elsewhere."""
    return {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}


def load_trained(module: nn.Module, state: dict[str, Tensor]) -> None:
    """Copy saved parameters into the module; it may hold more than was saved.

    Raises :class:`TrainingError` where a saved parameter has no place or another shape.
    """
    places = module.state_dict()  # with both names of what is tied
    with torch.no_grad():
        for name, value in state.items():
            place = places.get(name)
            if place is None or place.shape != value.shape:
                raise TrainingError(
                    f"the saved state has {name} {tuple(value.shape)}, which this model has not: "
                    "another recipe wrote it. Use another output folder, or remove this one."
                )
            place.copy_(value)


def has_state(folder: Path) -> bool:
    """Whether a run in ``folder`` can go on from where it was."""
    return any((folder / name).exists() for name in (FILE, SPREAD, f"{SPREAD}.old"))


def load_weights(module: nn.Module, folder: Path) -> None:
    """The weights of the newest state in ``folder`` into ``module``."""
    state = torch.load(folder / FILE, map_location="cpu", weights_only=True)
    load_trained(module, state["module"])


class States:
    """Saves and restores a run in ``folder``."""

    def __init__(self, accelerator: Accelerator, task: Task, folder: Path) -> None:
        self._accelerator, self._task, self._folder = accelerator, task, folder
        self._replicated = accelerator.distributed_type in REPLICATED

    @property
    def _module(self) -> nn.Module:
        """Without what accelerate has put around it: a state fits any number of processes."""
        module: nn.Module = self._accelerator.unwrap_model(self._task.module)
        return module

    def save(self, position: Position) -> None:
        """Write the state; the last good one stays until the new one is whole.

        Raises :class:`TrainingError` where it cannot be written, such as on a full disk.
        """
        try:
            if self._replicated:
                self._save_file(position)
            else:
                self._save_folder(position)
        except OSError as error:
            raise TrainingError(
                f"the state could not be written to {self._folder} ({error}); the last good one "
                "is kept. Free some disk space and start again: the run continues from there."
            ) from error

    def restore(self) -> Position | None:
        """Bring the task to the newest state; None where there is none yet."""
        if self._replicated:
            return self._restore_file()
        return self._restore_folder()

    # --- one file ---

    def _save_file(self, position: Position) -> None:
        mine = random_states()
        everyones = _gather(self._accelerator, mine)
        if not self._accelerator.is_main_process:
            return
        state = {
            "module": trained_state(self._module),
            "optimisers": [optimiser.state_dict() for optimiser in self._task.optimisers],
            "position": vars(position),
            "random": everyones,
        }
        draft = (self._folder / FILE).with_suffix(".tmp")
        try:
            _write(state, draft)
            os.replace(draft, self._folder / FILE)
        finally:
            draft.unlink(missing_ok=True)

    def _restore_file(self) -> Position | None:
        path = self._folder / FILE
        if not path.exists():
            return None
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        load_trained(self._module, state["module"])
        for optimiser, saved in zip(self._task.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        rank = self._accelerator.process_index
        if rank < len(state.get("random", [])):
            set_random_states(state["random"][rank])
        if "position" in state:
            return Position(**state["position"])
        return Position(state["step"], state["seconds"])

    # --- spread over processes ---

    def _save_folder(self, position: Position) -> None:
        draft, target = self._folder / f"{SPREAD}.tmp", self._folder / SPREAD
        if self._accelerator.is_main_process:
            shutil.rmtree(draft, ignore_errors=True)
        self._accelerator.wait_for_everyone()
        self._accelerator.save_state(str(draft))
        self._accelerator.wait_for_everyone()  # Each process writes its own part into the draft.
        if self._accelerator.is_main_process:
            _write(vars(position), draft / "position.pt")
            former = self._folder / f"{SPREAD}.old"
            if target.exists():
                os.replace(target, former)
            os.replace(draft, target)
            shutil.rmtree(former, ignore_errors=True)
        self._accelerator.wait_for_everyone()

    def _restore_folder(self) -> Position | None:
        names = (SPREAD, f"{SPREAD}.old")
        target = next((self._folder / n for n in names if (self._folder / n).exists()), None)
        if target is None:
            return None
        self._accelerator.load_state(str(target))
        return Position(**torch.load(target / "position.pt", weights_only=True))


def _write(state: dict[str, Any], path: Path) -> None:
    try:
        torch.save(state, path)
    except RuntimeError as error:  # what torch's writer makes of a full disk
        raise OSError(str(error)) from error


def random_states() -> dict[str, Any]:
    """The states of all random generators of this process."""
    version, keys, at, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (version, torch.from_numpy(np.asarray(keys).astype(np.int64)), at, *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_states(states: dict[str, Any]) -> None:
    """Undo what has happened to the random generators since :func:`random_states`."""
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available() and states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])


def _gather(accelerator: Accelerator, mine: dict[str, Any]) -> list[dict[str, Any]]:
    """Everyone's, by process."""
    if accelerator.num_processes == 1:
        return [mine]
    everyones: list[Any] = [None] * accelerator.num_processes
    torch.distributed.all_gather_object(everyones, mine)
    return everyones
