"""What trains, and how fast: the paper's stages, LoRA, and a learning rate for each part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from llava_core.adapters import quietly
from llava_core.assembling import freeze_for_stage
from llava_core.training.optim import Muon

LANGUAGE_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The linear layers of the language models in use; LLaVA v1.5 adapts all of them."""


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters on the language model (LoRA, Hu et al. 2021).

    Defaults are LLaVA v1.5's.
    """

    r: int = 128
    alpha: int = 256
    dropout: float = 0.05
    targets: tuple[str, ...] = LANGUAGE_LAYERS


@dataclass(frozen=True)
class Trains:
    """What trains besides the projector: nothing (stage 1), the language model, adapters on it;
    and the vision tower, where wished."""

    language: Literal["frozen", "full", "lora"] = "full"
    tower: bool = False
    projector: bool = True


@dataclass(frozen=True)
class Rates:
    """Learning rates; a part without one of its own takes ``base``."""

    base: float
    projector: float | None = None
    tower: float | None = None
    weight_decay: float = 0.0


def set_up(model: Any, trains: Trains, lora: Lora | None = None) -> Any:
    """Set what requires a gradient; returns the model, wrapped by PEFT where adapters train.

    The paper's linear projector keeps its second layer, the identity, as it is.
    """
    freeze_for_stage(model, 2 if trains.language == "full" else 1)
    projector = model.model.multi_modal_projector
    if not trains.projector:
        projector.requires_grad_(False)
    if trains.tower:
        model.model.vision_tower.requires_grad_(True)
    for part in (projector, model.model.vision_tower):
        if any(parameter.requires_grad for parameter in part.parameters()):
            part.float()  # 16 bits would lose small updates
    if trains.language != "lora":
        return model
    from peft import get_peft_model, prepare_model_for_kbit_training  # slow to import

    learnt = {name for name, p in model.named_parameters() if p.requires_grad}
    if _quantised(model):
        ready: Any = prepare_model_for_kbit_training
        model = ready(model, use_gradient_checkpointing=False)
    with quietly():
        adapted = get_peft_model(model, _lora_config(lora or Lora()))
    for name, parameter in adapted.get_base_model().named_parameters():
        if name in learnt:
            parameter.requires_grad_(True)
    return adapted


def _lora_config(lora: Lora) -> Any:
    from peft import LoraConfig

    names = "|".join(lora.targets)
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=rf".*language_model.*\.({names})",
        bias="none",
    )


def _quantised(model: Any) -> bool:
    flags = ("is_loaded_in_4bit", "is_loaded_in_8bit")
    return any(getattr(model, flag, False) for flag in flags)


def optimisers(
    module: nn.Module, rates: Rates, kind: Literal["adamw", "muon"] = "adamw"
) -> list[torch.optim.Optimizer]:
    """AdamW over all that trains, in groups by learning rate; or Muon for the language model's
    matrices and AdamW for the rest."""
    groups: dict[float, list[nn.Parameter]] = {}
    matrices: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        if kind == "muon" and _is_matrix(name, parameter):
            matrices.append(parameter)
            continue
        groups.setdefault(_rate_of(name, rates), []).append(parameter)
    made: list[torch.optim.Optimizer] = []
    if groups:
        ordered = sorted(groups, key=lambda rate: rate != rates.base)  # the first one is told
        listed = [{"params": groups[rate], "lr": rate} for rate in ordered]
        made.append(torch.optim.AdamW(listed, lr=rates.base, weight_decay=rates.weight_decay))
    if matrices:
        made.append(Muon(matrices, lr=10 * rates.base))
    return made


def _is_matrix(name: str, parameter: nn.Parameter) -> bool:
    inner = "language_model" in name and "embed" not in name
    return inner and parameter.ndim == 2


def _rate_of(name: str, rates: Rates) -> float:
    if "multi_modal_projector" in name:
        return rates.base if rates.projector is None else rates.projector
    if "vision_tower" in name:
        return rates.base if rates.tower is None else rates.tower
    return rates.base


def merge(model: Any) -> Any:
    """The model with its adapters added into its weights; as it is where it has none."""
    return model.merge_and_unload() if hasattr(model, "merge_and_unload") else model


def count_parameters(module: nn.Module) -> tuple[int, int]:
    """Parameters that train, and all."""
    sizes: Sequence[tuple[int, bool]] = [
        (parameter.numel(), parameter.requires_grad) for parameter in module.parameters()
    ]
    return sum(size for size, trains in sizes if trains), sum(size for size, _ in sizes)
