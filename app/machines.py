"""What travels about models beside their names: their cards, what is being loaded, and machines."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class ModelCard(_Told):
    """What a checkpoint's own card says; see :class:`llava_core.card.Card`."""

    license: str = ""
    base: str = ""
    trained_on: str = ""
    accuracy: str = ""
    limits: str = ""


class LoadingModel(_Told):
    """A model that a worker is loading. ``share`` of its tensors, 0 to 1; None before the first:
    its files are being fetched or read."""

    id: str
    share: float | None = Field(default=None, ge=0, le=1)


class Fit(_Told):
    """A published checkpoint on a machine. ``precision`` and ``command`` are empty where it does
    not fit; ``needed`` are bytes at that precision, or else at 4 bits."""

    source: str
    parameters: int
    precision: str = ""
    needed: int
    command: str = ""


class Machine(_Told):
    """Where a worker runs. ``free``: bytes for weights before it loaded any."""

    device: str
    free: int
    fits: list[Fit] = Field(default_factory=list)


class MachineStatus(_Told):
    """A worker's machine, and what is being loaded there."""

    worker_id: str
    machine: Machine | None = None
    loading: list[LoadingModel] = Field(default_factory=list)


class MachineList(_Told):
    """The answer to ``GET /api/machines``."""

    data: list[MachineStatus]
