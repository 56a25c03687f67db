"""What trains on what: the keys of a recipe, their defaults and limits.

:mod:`training.recipe_file` reads one from a YAML file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from llava_core.training.tuning import LANGUAGE_LAYERS


class Part(BaseModel):
    """A part of a recipe: no key that is not here, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelPart(Part):
    """What is trained: a LLaVA checkpoint, or a vision tower and a language model to be joined."""

    checkpoint: str | None = None
    tower: str | None = None
    language: str | None = None
    fresh_projector: bool = False
    projector: Literal["linear", "mlp2x_gelu"] = "mlp2x_gelu"
    feature_layer: int | list[int] = -2
    template: str | None = None
    precision: Literal["auto", "32bit", "16bit", "8bit", "4bit"] = "auto"


class DataPart(Part):
    """A data set in LLaVA's format; ``weight`` says how often an epoch shows each record."""

    path: Path
    images: Path = Path(".")
    weight: float = Field(1.0, gt=0)


class ValidationPart(Part):
    """Held-out records: their loss, and answers to the questions of the first ``samples``."""

    path: Path
    images: Path = Path(".")
    limit: int = Field(500, ge=1)
    samples: int = Field(4, ge=0)


class LoraPart(Part):
    """LoRA; the defaults are LLaVA v1.5's."""

    r: int = Field(128, ge=1)
    alpha: int = Field(256, ge=1)
    dropout: float = Field(0.05, ge=0, lt=1)
    targets: list[str] = Field(list(LANGUAGE_LAYERS), min_length=1)


class TrainPart(Part):
    """How it trains."""

    language: Literal["frozen", "full", "lora"] = "full"
    projector: bool = True
    tower: bool = False
    lora: LoraPart | None = None
    learning_rate: float = Field(gt=0)
    projector_learning_rate: float | None = Field(None, gt=0)
    tower_learning_rate: float | None = Field(None, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    optimiser: Literal["adamw", "muon"] = "adamw"
    warm_up: float = Field(0.03, ge=0, lt=1)
    clip: float = Field(1.0, ge=0)
    epochs: float = Field(1.0, gt=0)
    batch_size: int = Field(ge=1)
    max_tokens: int = Field(2048, ge=8)
    layout: Literal["packed", "padded"] = "packed"
    row_tokens: int = Field(0, ge=0)
    micro_tokens: int = Field(4096, ge=8)
    features: Literal["kept", "live"] = "kept"
    gradient_checkpointing: bool = False
    compile: bool = False
    seed: int = Field(0, ge=0)


class LogPart(Part):
    """What is told and kept meanwhile; steps and seconds."""

    every: int = Field(10, ge=1)
    evaluate_every: int = Field(0, ge=0)
    save_seconds: float = Field(600.0, gt=0)
    save_steps: int = Field(0, ge=0)
    tensorboard: bool = False
    trackio: bool = False


class Recipe(Part):
    """All of it. ``output`` is the run's folder; the finished model lands in its ``checkpoint``."""

    name: str
    output: Path
    cache: Path = Path("runs/cache")
    model: ModelPart
    data: list[DataPart] = Field(min_length=1)
    validation: ValidationPart | None = None
    train: TrainPart
    log: LogPart = LogPart()
