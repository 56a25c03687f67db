"""Tiny vision towers of each kind in transformers format: random weights, real files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    SamConfig,
    SamModel,
    SiglipConfig,
    SiglipModel,
)
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

WIDTH, LAYERS = 32, 3
_VIT: dict[str, Any] = {
    "hidden_size": WIDTH,
    "intermediate_size": 64,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
_TEXT: dict[str, Any] = {**_VIT, "vocab_size": 99}
_DINO: dict[str, Any] = {
    **{name: value for name, value in _VIT.items() if name != "intermediate_size"},
    "mlp_ratio": 2,
    "image_size": 48,
}


def _square(pixels: int) -> dict[str, int]:
    return {"height": pixels, "width": pixels}


def make_clip(folder: Path) -> Path:
    """A whole CLIP, as published: text model and vision model."""
    CLIPModel(CLIPConfig(vision_config=_VIT, text_config=_TEXT)).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=_square(32)).save_pretrained(folder)
    return folder


def make_clip_vision(folder: Path) -> Path:
    """CLIP's vision model alone."""
    CLIPVisionModel(CLIPVisionConfig(**_VIT)).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=_square(32)).save_pretrained(folder)
    return folder


def make_siglip(folder: Path) -> Path:
    """A whole SigLIP; no CLS, and a head that LLaVA does not use."""
    SiglipModel(SiglipConfig(vision_config=_VIT, text_config=_TEXT)).save_pretrained(folder)
    SiglipImageProcessorPil(size=_square(32)).save_pretrained(folder)
    return folder


def make_dinov2(folder: Path) -> Path:
    """DINOv2 as published: pictures smaller than those that its positions were learnt on."""
    Dinov2Model(Dinov2Config(**_DINO)).save_pretrained(folder)
    BitImageProcessorPil(size={"shortest_edge": 40}, crop_size=_square(32)).save_pretrained(folder)
    return folder


def make_registers(folder: Path) -> Path:
    """DINOv2 with two registers between CLS and patches."""
    config = Dinov2WithRegistersConfig(**_DINO, num_register_tokens=2)
    Dinov2WithRegistersModel(config).save_pretrained(folder)
    BitImageProcessorPil(size={"shortest_edge": 40}, crop_size=_square(32)).save_pretrained(folder)
    return folder


def make_sam(folder: Path) -> Path:
    """A whole SAM with windows of 3 x 3 patches, one layer that sees all, and learnt positions."""
    vision = {
        **{name: value for name, value in _VIT.items() if name != "intermediate_size"},
        "image_size": 64,
        "patch_size": 16,
        "mlp_dim": 64,
        "output_channels": 16,
        "window_size": 3,
        "global_attn_indexes": [1],
        "num_pos_feats": 8,
        "initializer_range": 0.1,
    }
    prompts = {"hidden_size": 16, "image_size": 64, "patch_size": 16, "mask_input_channels": 4}
    masks = {
        "hidden_size": 16,
        "mlp_dim": 16,
        "num_attention_heads": 2,
        "iou_head_hidden_dim": 16,
    }
    model = SamModel(
        SamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=masks)
    )
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "pos" in name:
                weight.normal_(std=0.5)
    model.save_pretrained(folder)
    SamImageProcessorPil(size={"longest_edge": 64}, pad_size=_square(64)).save_pretrained(folder)
    return folder


TOWERS: dict[str, tuple[Callable[[Path], Path], int]] = {
    "clip": (make_clip, 16),
    "clip_vision": (make_clip_vision, 16),
    "siglip": (make_siglip, 16),
    "dinov2": (make_dinov2, 16),
    "registers": (make_registers, 18),
    "sam": (make_sam, 16),
}
"""How each is made, and how many visual tokens a picture takes."""
KINDS = ("clip", "siglip", "dinov2", "sam")


def make_tower(name: str, folder: Path) -> Path:
    """Write the checkpoint into ``folder``; the same random weights each time."""
    torch.manual_seed(1)
    return TOWERS[name][0](folder)
