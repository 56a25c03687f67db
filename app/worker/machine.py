"""The machine that a worker runs on: its device, its memory, and what would fit there."""

from __future__ import annotations

import platform

import torch

from app.machines import Fit, Machine
from llava_core import known
from llava_core.devices import free_memory, pick_device


def machine_on(device: str) -> Machine:
    """The machine as seen from ``--device``; ask before models are loaded.

    Raises what :func:`llava_core.devices.pick_device` raises for a device that is not there.
    """
    on = pick_device(device)
    free = free_memory(on)
    return Machine(
        device=name_of(on), free=free, fits=[_told(each) for each in known.fits(on, free)]
    )


def name_of(device: torch.device) -> str:
    """The device as people know it: a GPU's name, or the kind of processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return f"Apple GPU ({platform.machine()})"
    return f"CPU ({platform.machine()})"


def _told(fit: known.Fit) -> Fit:
    return Fit(
        source=fit.known.source,
        parameters=fit.known.parameters,
        precision=fit.precision or "",
        needed=fit.needed,
        command=fit.command,
    )
