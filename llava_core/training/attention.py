"""Attention in float32 where 16 bits make it slower.

On processors with bfloat16 instructions matrix products are faster in 16 bits, but PyTorch's fused
attention is not: its backward takes 2 to 3 times as long as in float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

NAME = "sdpa_float32"


def attend_in_float32(language_model: Any, device: torch.device) -> None:
    """Let the language model compute its attention in float32, if ``device`` is a CPU."""
    config = language_model.config
    if device.type != "cpu" or config._attn_implementation != "sdpa":
        return
    ALL_ATTENTION_FUNCTIONS.register(NAME, _attend)
    ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, sdpa_mask)
    language_model.set_attn_implementation(NAME)


def attend_as_before(language_model: Any) -> None:
    """Undo :func:`attend_in_float32`, before the model is saved."""
    if language_model.config._attn_implementation == NAME:
        language_model.set_attn_implementation("sdpa")


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    **options: Any,
) -> tuple[Tensor, None]:
    with torch.autocast(query.device.type, enabled=False):
        output, _ = sdpa_attention_forward(
            module, query.float(), key.float(), value.float(), mask, **options
        )
    return output.to(query.dtype), None
