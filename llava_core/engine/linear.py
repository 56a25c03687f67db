"""Products with weight matrices, each in the fastest way that is right on its device.

On a CPU, float32 weights are laid out once as oneDNN wants them, which makes a decode step two to
four times faster than ``torch.nn.functional.linear`` (docs/benchmarks.md), and bfloat16 ones where
the processor multiplies those; with AVX2 alone they stay as they are and are multiplied in groups.
Layers of another kind, such as bitsandbytes' or an adapter's, are called as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from llava_core.devices import native_bfloat16
from llava_core.half import HalfLinear
from llava_core.int8 import LARGEST, Int8Linear, packed

Product = Callable[[Tensor], Tensor]
"""(rows, inputs) -> (rows, outputs)."""

EXPECTED_ROWS = 8
"""The layout is chosen for so many rows; it is used for any number."""
GROUPS = 8
GROUPED_ROWS = 64
"""Of :class:`GroupedLinear`: into how many groups, and up to how many rows."""


def product_of(layers: Sequence[nn.Module]) -> Product:
    """One product for layers with the same input; their outputs come side by side.

    Plain linear layers give up their weights to it, so that nothing is held twice: they cannot be
    called themselves any more.
    """
    if all(type(layer) is nn.Linear for layer in layers):
        return _whole([layer for layer in layers if isinstance(layer, nn.Linear)])
    if all(type(layer) is Int8Linear for layer in layers):
        return packed(Int8Linear.join([layer for layer in layers if isinstance(layer, Int8Linear)]))
    if all(is_bitsandbytes_int8(layer) and on_cpu(layer) for layer in layers):
        return packed(Int8Linear.join([_taken_over(layer) for layer in layers]))
    if all(type(layer) is HalfLinear for layer in layers):
        return HalfLinear.join([layer for layer in layers if isinstance(layer, HalfLinear)])
    return layers[0] if len(layers) == 1 else _Separate(layers)


def head_product(layer: nn.Module, embeddings: nn.Module, eight_bit: bool = False) -> Product:
    """The product of a language model's head; weights that are the embeddings' too stay there.

    ``eight_bit``: rounded like the other layers of a model in 8 bits on a CPU.
    """
    tied = layer.weight is getattr(embeddings, "weight", None)
    if type(layer) is not nn.Linear or not (tied or eight_bit):
        return product_of([layer])
    weight, bias = layer.weight.detach(), _detached(layer.bias)
    rounded = eight_bit and on_cpu(layer)
    product = packed(Int8Linear.quantise(layer)) if rounded else _product(weight, bias)
    if not tied:
        layer.weight = nn.Parameter(weight.new_empty(0), requires_grad=False)
    return product


def pack_linears(model: nn.Module) -> None:
    """Lay out the weights of all linear layers below a module on a CPU; it works on."""
    for name, child in list(model.named_children()):
        if type(child) is nn.Linear and _packs(child.weight):
            setattr(model, name, PackedLinear(child.weight.detach(), _detached(child.bias)))
        else:
            pack_linears(child)


def is_bitsandbytes_int8(layer: nn.Module) -> bool:
    """Whether it is bitsandbytes' 8-bit layer (https://arxiv.org/abs/2208.07339)."""
    kind = type(layer)  # PEFT's layer around one has the same name
    return kind.__name__ == "Linear8bitLt" and kind.__module__.startswith("bitsandbytes")


def on_cpu(layer: nn.Module) -> bool:
    """Whether a layer's weight lies on a CPU."""
    return bool(layer.weight.device.type == "cpu")


def _taken_over(layer: Any) -> Int8Linear:
    """bitsandbytes' whole numbers and scales, in a layer that is fast on CPUs."""
    scale = layer.state.SCB if layer.weight.SCB is None else layer.weight.SCB
    taken = Int8Linear(layer.weight.data, scale.float() / LARGEST, _detached(layer.bias))
    layer.weight = nn.Parameter(layer.weight.data.new_empty(0), requires_grad=False)
    return taken


def _whole(layers: list[nn.Linear]) -> Product:
    weight = torch.cat([layer.weight.detach() for layer in layers])
    biases = [_detached(layer.bias) for layer in layers]
    bias = torch.cat([each for each in biases if each is not None]) if any_of(biases) else None
    for layer in layers:
        layer.weight = nn.Parameter(weight.new_empty(0), requires_grad=False)
    return _product(weight, bias)


def any_of(biases: Sequence[Tensor | None]) -> bool:
    """Whether the layers have biases; all of them have, or none.

    Raises ``ValueError`` where only some have.
    """
    there = [bias is not None for bias in biases]
    if any(there) and not all(there):
        raise ValueError("of layers with the same input, either all have a bias or none")
    return any(there)


def _detached(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.detach()


def _product(weight: Tensor, bias: Tensor | None) -> Product:
    if not _packs(weight):
        return PlainLinear(weight, bias)
    in_groups = weight.dtype == torch.float32 and len(weight) % GROUPS == 0 and not has_avx512()
    return GroupedLinear(weight, bias) if in_groups else PackedLinear(weight, bias)


def _packs(weight: Tensor) -> bool:
    if weight.device.type != "cpu" or not packing_available():
        return False
    native = weight.dtype == torch.bfloat16 and native_bfloat16(weight.device)
    return native or weight.dtype == torch.float32


def has_avx512() -> bool:
    """Whether PyTorch uses the processor's AVX-512 instructions."""
    return "AVX512" in str(torch.backends.cpu.get_cpu_capability())


def packing_available() -> bool:
    """Whether this build of PyTorch has oneDNN and the two operators that the packing needs."""
    names = ("_reorder_linear_weight", "_linear_pointwise")
    return all(hasattr(torch.ops.mkldnn, name) for name in names)


class GroupedLinear:
    """The product with the weight as it is: by oneDNN, for few rows by MKL in groups of outputs.

    For processors with AVX2 alone, where one row takes three quarters of the time that oneDNN's own
    layout takes, and more rows as long (``benchmarks/int8_linear.py``).
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight = weight.contiguous()
        self._groups = self._weight.view(GROUPS, -1, weight.shape[1]).transpose(1, 2)
        self._bias = bias

    def __call__(self, rows: Tensor) -> Tensor:
        """(rows, inputs) -> (rows, outputs)."""
        if len(rows) > GROUPED_ROWS:
            many: Tensor = torch.ops.mkldnn._linear_pointwise(
                rows, self._weight, self._bias, "none", [], ""
            )
            return many
        few = torch.matmul(rows, self._groups).transpose(0, 1).reshape(len(rows), -1)
        return few if self._bias is None else few.add_(self._bias)


class PlainLinear:
    """The product by PyTorch; weight (outputs, inputs)."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight = weight
        self._bias = bias

    def __call__(self, rows: Tensor) -> Tensor:
        return nn.functional.linear(rows, self._weight, self._bias)


class PackedLinear(nn.Module):
    """The product by oneDNN, with the weight in its own layout; on a CPU.

    The operators are those that ``torch.compile`` emits for frozen weights.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), EXPECTED_ROWS)
        self._bias = bias

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        result: Tensor = torch.ops.mkldnn._linear_pointwise(
            inputs, self._weight, self._bias, "none", [], ""
        )
        return result


class _Separate:
    """Several layers called one after another; their outputs are put side by side."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        self._layers = list(layers)

    def __call__(self, rows: Tensor) -> Tensor:
        return torch.cat([layer(rows) for layer in self._layers], -1)
