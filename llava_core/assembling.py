"""Joining a vision tower, a projector and a language model into a LLaVA, and what trains when.

Vision tower -> Z_v -> projection W -> H_v -> language model: Visual Instruction Tuning, section
4.1. The classes are transformers' own, so that every tool that reads LLaVA reads ours.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from transformers import (
    CLIPVisionModel,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedModel,
)

Projector = Literal["linear", "mlp2x_gelu"]


def assemble(
    tower: CLIPVisionModel,
    language: PreTrainedModel,
    *,
    projector: Projector = "linear",
    image_token_id: int,
    vision_feature_layer: int = -2,
    image_seq_length: int = 576,
) -> LlavaForConditionalGeneration:
    """One model from parts; the projector's weights are random, the others are copied.

    ``projector`` "linear" is the paper's W: transformers' two layers with no activation between,
    the second fixed to the identity. "mlp2x_gelu" is v1.5's. ``image_seq_length`` is the number of
    visual tokens of one picture.
    """
    config = LlavaConfig(
        vision_config=tower.config,
        text_config=language.config,
        image_token_index=image_token_id,
        image_seq_length=image_seq_length,
        projector_hidden_act="linear" if projector == "linear" else "gelu",
        vision_feature_select_strategy="default",
        vision_feature_layer=vision_feature_layer,
        tie_word_embeddings=bool(language.config.tie_word_embeddings),
    )
    model = LlavaForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(tower.state_dict())
    model.model.language_model.load_state_dict(language.model.state_dict())
    model.lm_head.load_state_dict(language.lm_head.state_dict())
    model.tie_weights()
    if projector == "linear":
        _fix_identity(model.model.multi_modal_projector)
    return model


def _fix_identity(projector: nn.Module) -> None:
    second = projector.get_submodule("linear_2")
    assert isinstance(second, nn.Linear)
    with torch.no_grad():
        nn.init.eye_(second.weight)
        if second.bias is not None:
            second.bias.zero_()


def freeze_for_stage(model: LlavaForConditionalGeneration, stage: Literal[1, 2]) -> None:
    """Set what trains: stage 1 the projector; stage 2 projector and language model.

    The vision tower is frozen in both, and so is the identity of a linear projector.
    """
    model.requires_grad_(False)
    projector = model.model.multi_modal_projector
    projector.requires_grad_(True)
    if model.config.projector_hidden_act == "linear":
        projector.linear_2.requires_grad_(False)
    if stage == 2:
        model.model.language_model.requires_grad_(True)
        model.lm_head.requires_grad_(True)
