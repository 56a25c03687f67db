"""Published checkpoints of the LLaVA family, and which of them fit a machine at which precision."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from llava_core.errors import MemoryShortage
from llava_core.loading import choose_precision, memory_needed
from llava_core.model import Precision


@dataclass(frozen=True)
class KnownCheckpoint:
    """A hub id in transformers format. ``parameters`` follow from its architecture (a test counts
    them), rounded to a tenth of a billion."""

    source: str
    parameters: int


KNOWN = (
    KnownCheckpoint("llava-hf/llava-onevision-qwen2-0.5b-ov-hf", 900_000_000),
    KnownCheckpoint("llava-hf/llava-1.5-7b-hf", 7_100_000_000),
    KnownCheckpoint("llava-hf/llava-v1.6-vicuna-7b-hf", 7_100_000_000),
    KnownCheckpoint("llava-hf/llava-v1.6-mistral-7b-hf", 7_600_000_000),
    KnownCheckpoint("llava-hf/llava-onevision-qwen2-7b-ov-hf", 8_000_000_000),
    KnownCheckpoint("llava-hf/llava-1.5-13b-hf", 13_400_000_000),
    KnownCheckpoint("llava-hf/llava-v1.6-34b-hf", 34_800_000_000),
)


@dataclass(frozen=True)
class Fit:
    """A checkpoint on a machine: ``precision`` None where none fits; ``needed`` bytes at it, or
    else at 4 bits."""

    known: KnownCheckpoint
    precision: Precision | None
    needed: int

    @property
    def command(self) -> str:
        """What starts the app with it; empty where it does not fit."""
        if self.precision is None:
            return ""
        return f"python app.py --model {self.known.source} --precision {self.precision}"


def fits(device: torch.device, free: int | None = None, bfloat16: bool | None = None) -> list[Fit]:
    """What ``--precision auto`` would take for each known checkpoint; ``free`` in bytes, by
    default what is free on the device now."""
    return [_fit(known, device, free, bfloat16) for known in KNOWN]


def _fit(
    known: KnownCheckpoint, device: torch.device, free: int | None, bfloat16: bool | None
) -> Fit:
    whole = known.parameters * 4
    try:
        precision = choose_precision(device, "auto", whole, free=free, bfloat16=bfloat16)
    except MemoryShortage:
        return Fit(known, None, memory_needed("4bit", whole))
    return Fit(known, precision, memory_needed(precision, whole))
