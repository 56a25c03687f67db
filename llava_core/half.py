"""16 bits for CPUs that multiply none: weights in float16, products and everything else in float32.

FBGEMM widens the weights as it reads them (https://github.com/pytorch/FBGEMM), so a decode step
reads half the memory, and nothing is multiplied in 16 bits, which such processors do 4 to 250 times
slower than in 32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from llava_core.errors import CheckpointError


def has_half_products() -> bool:
    """Whether this build of PyTorch has FBGEMM; it has on x86."""
    return "fbgemm" in torch.backends.quantized.supported_engines


class HalfLinear(nn.Module):
    """Weight (outputs, inputs) in float16; inputs and outputs in float32."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.weight: Tensor
        self.bias: Tensor | None
        self._packed: Any = None

    @classmethod
    def of(cls, layer: nn.Linear) -> HalfLinear:
        """The layer's weight, rounded to float16.

        Raises ``ValueError`` where a weight is too large for it.
        """
        weight = layer.weight.detach().to(torch.float16)
        if not bool(weight.isfinite().all()):
            raise ValueError("a weight does not fit into float16")
        return cls(weight, None if layer.bias is None else layer.bias.detach().float())

    @classmethod
    def join(cls, layers: Sequence[HalfLinear]) -> HalfLinear:
        """One layer whose outputs are those of all, side by side; it takes their weights over.

        Raises ``ValueError`` where only some have a bias.
        """
        biases = [layer.bias for layer in layers if layer.bias is not None]
        if biases and len(biases) < len(layers):
            raise ValueError("of layers with the same input, either all have a bias or none")
        weight = torch.cat([layer.weight for layer in layers])
        for layer in layers:
            layer.weight = layer.weight.new_empty(0)
        return cls(weight, torch.cat(biases) if biases else None)

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        if self._packed is None:
            # Not before the first product: until then layers can be joined.
            pack = torch.ops.quantized.linear_prepack_fp16
            self._packed = pack(self.weight.float(), self.bias)
            self._outputs = len(self.weight)
            self.weight = self.weight.new_empty(0)
        if not inputs.numel():
            return inputs.new_zeros(*inputs.shape[:-1], self._outputs, dtype=torch.float32)
        result: Tensor = torch.ops.quantized.linear_dynamic_fp16(inputs.float(), self._packed)
        return result


def use_half_products(model: nn.Module) -> None:
    """Make a float16 model on a CPU fast: its linear layers are replaced, the rest is widened.

    Raises :class:`CheckpointError` where a weight does not fit into float16.
    """
    for name, module in list(model.named_modules()):
        for child_name, child in list(module.named_children()):
            if type(child) is not nn.Linear or child_name.startswith("lora_") or "lora_" in name:
                continue
            try:
                setattr(module, child_name, HalfLinear.of(child))
            except ValueError as error:
                raise CheckpointError(
                    f"{name}.{child_name}: {error}", "Use --precision 32bit or 8bit."
                ) from error
    for parameter in model.parameters():
        parameter.data = parameter.data.float()
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.dtype == torch.float16 and type(module) is not HalfLinear:
                setattr(module, name, buffer.float())
