"""8-bit linear layers for CPUs: weights and inputs in whole numbers, a scale for each row of each.

The sums are exact integers, so a row's result does not depend on what else is in the batch. The
products are oneDNN's or FBGEMM's, with whatever 8-bit instructions the processor has; bitsandbytes'
8-bit layers have no such path on CPUs.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

LARGEST = 127
SHIFT = 128
UP = 1 + 2**-7
"""More than rounding to bfloat16 takes off."""
MOST_EXCESS = 0.03
"""Share of weights with an excess up to which the sparse product costs less than a second one."""
FEW_ROWS = 8
"""Up to so many rows MKL's sparse product is the faster one."""
OPERATORS = ("qlinear_prepack", "qlinear_pointwise")


class Int8Linear(nn.Module):
    """Weight (outputs, inputs) in int8, a scale for each output; inputs quantised row by row."""

    def __init__(self, weight: Tensor, scale: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)
        self.register_buffer("bias", bias)
        self.weight: Tensor
        self.scale: Tensor
        self.bias: Tensor | None

    @classmethod
    def quantise(cls, layer: nn.Linear) -> Int8Linear:
        """The layer with its weights rounded to int8."""
        weight = layer.weight.detach().float()
        scale = weight.abs().amax(1).clamp_min(1e-12) / LARGEST
        rounded = (weight / scale[:, None]).round().to(torch.int8)
        return cls(rounded, scale, None if layer.bias is None else layer.bias.detach().float())

    @classmethod
    def join(cls, layers: Sequence[Int8Linear]) -> Int8Linear:
        """One layer whose outputs are those of all, side by side.

        Raises ``ValueError`` where only some have a bias.
        """
        biases = [layer.bias for layer in layers if layer.bias is not None]
        if biases and len(biases) < len(layers):
            raise ValueError("of layers with the same input, either all have a bias or none")
        return cls(
            torch.cat([layer.weight for layer in layers]),
            torch.cat([layer.scale for layer in layers]),
            torch.cat(biases) if biases else None,
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        rows = inputs.reshape(-1, inputs.shape[-1])
        step = _step(rows)
        whole = _quotient(rows, step).round_().to(torch.int8)
        result = torch._int_mm(whole, self.weight.t()).float().mul_(step).mul_(self.scale)
        if self.bias is not None:
            result = result.add_(self.bias)
        return result.to(inputs.dtype).reshape(*inputs.shape[:-1], len(self.weight))


class PackedInt8(nn.Module):
    """The same with the weight laid out for oneDNN beforehand: twice as fast for a few rows.

    The operator is the one that PyTorch's own 8-bit export for x86 ends in. Inputs are shifted to
    whole numbers without a sign for it, which changes nothing in the sums.
    """

    def __init__(self, layer: Int8Linear) -> None:
        super().__init__()
        self._weight = torch.ops.onednn.qlinear_prepack(layer.weight, None)
        self._scale = layer.scale
        self._zero = torch.zeros_like(layer.scale, dtype=torch.int64)
        self._bias = layer.bias

    def forward(self, inputs: Tensor) -> Tensor:
        """(rows, inputs) -> (rows, outputs)."""
        if not len(inputs):
            return inputs.new_zeros(0, len(self._scale))
        step = _step(inputs)
        result = self._sums(inputs, step).mul_(step)
        result = result if self._bias is None else result.add_(self._bias)
        return result.to(inputs.dtype)

    def _sums(self, inputs: Tensor, step: Tensor) -> Tensor:
        """Of the rows in whole numbers of steps, times the outputs' scales."""
        shifted = _quotient(inputs, step).round_().add_(SHIFT)
        return _onednn(shifted, SHIFT, self._weight, self._scale, self._zero, inputs.dtype)


class HalvedInt8(PackedInt8):
    """The same where oneDNN's sums overflow (:func:`overflows`): each row as two of 7 bits.

    x = 2 h + l with h of 7 bits and l of one: no partial sum leaves 16 bits then, and the result is
    the same. The products are FBGEMM's, which is the faster one on processors with AVX2 alone
    (https://github.com/pytorch/FBGEMM).
    """

    def __init__(self, layer: Int8Linear) -> None:
        nn.Module.__init__(self)
        self._weight = _for_fbgemm(layer.weight, layer.scale)
        self._scale = layer.scale
        self._bias = layer.bias

    def _sums(self, inputs: Tensor, step: Tensor) -> Tensor:
        # Few operations, each into its place: for one row they weigh as much as the product.
        high, low = halves = torch.empty(2, *inputs.shape)
        torch.div(inputs, step, out=low).round_()
        torch.mul(low, 0.5, out=high).floor_()
        low.sub_(high, alpha=2)
        product = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32
        high_sums, low_sums = product(halves.flatten(0, 1), 1.0, SHIFT // 2, self._weight).chunk(2)
        result: Tensor = low_sums.add_(high_sums, alpha=2)
        return result


class CappedInt8(PackedInt8):
    """The same where oneDNN's sums overflow, with half of :class:`HalvedInt8`'s products.

    Only pairs of large weights of one sign can overflow: what is too much is taken off them and
    kept in a sparse matrix, whose product is added (as in https://arxiv.org/abs/2101.05615).
    """

    def __init__(self, layer: Int8Linear, excess: Tensor) -> None:
        nn.Module.__init__(self)
        self._weight = _for_fbgemm(layer.weight - excess, layer.scale)
        self._excess = _Sparse(excess)
        self._scale = layer.scale
        self._bias = layer.bias

    def _sums(self, inputs: Tensor, step: Tensor) -> Tensor:
        whole = _quotient(inputs, step).round_()
        product = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32
        result: Tensor = product(whole, 1.0, SHIFT, self._weight)
        return result.addcmul_(self._excess(whole), self._scale)


class _Sparse:
    """Product with a sparse matrix (outputs, inputs) of whole numbers, small enough to be exact."""

    def __init__(self, matrix: Tensor) -> None:
        rows, columns = matrix.nonzero(as_tuple=True)
        ends = torch.bincount(rows, minlength=len(matrix)).cumsum(0)
        self._starts = torch.cat([ends.new_zeros(1), ends]).int()
        self._columns = columns.int()
        self._values = matrix[rows, columns].float()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse ", UserWarning)  # "in beta state"
            self._matrix = torch.sparse_csr_tensor(
                self._starts, self._columns, self._values, matrix.shape, check_invariants=False
            )

    def __call__(self, inputs: Tensor) -> Tensor:
        """(rows, inputs) -> (rows, outputs)."""
        if len(inputs) <= FEW_ROWS:
            few: Tensor = self._matrix @ inputs.t()
            return few.t()
        # An output is a weighted sum of inputs' columns: a bag of embeddings, faster for many rows.
        many = torch.nn.functional.embedding_bag(
            *(self._columns, inputs.t().contiguous(), self._starts),
            mode="sum",
            per_sample_weights=self._values,
            include_last_offset=True,
        )
        return many.t()


def _step(rows: Tensor) -> Tensor:
    """What one whole number stands for in each of the rows: (rows, 1), of their type.

    Of 16 bits it is a little larger, so that rounding makes no number larger than the largest.
    """
    largest = rows.abs().amax(-1, keepdim=True).clamp_min_(1e-12)
    return largest.div_(LARGEST) if largest.dtype.itemsize > 2 else largest.mul_(UP / LARGEST)


def _quotient(rows: Tensor, step: Tensor) -> Tensor:
    """The rows in steps, in 32 bits: 16 would round them twice."""
    return rows / step if rows.dtype.itemsize > 2 else rows.float().div_(step.float())


def excess_of(weight: Tensor) -> Tensor:
    """What neighbouring weights (outputs, inputs), int8, have too much for sums of 16 bits.

    Inputs of 8 bits without a sign, times two weights of one sign, fit into 16 bits where the
    weights make 128 together; the larger of the two gives up what is over.
    """
    even = nn.functional.pad(weight, (0, weight.shape[1] % 2))
    pairs = even.to(torch.int16).view(len(weight), -1, 2)
    over = pairs.abs().sum(-1, dtype=torch.int16).sub_(SHIFT).clamp_min_(0)
    over *= pairs[..., 0].sign() == pairs[..., 1].sign()
    larger = pairs.abs().argmax(-1, keepdim=True)
    excess = torch.zeros_like(pairs)
    excess.scatter_(-1, larger, over[..., None] * pairs.gather(-1, larger).sign())
    return excess.flatten(1)[:, : weight.shape[1]].to(torch.int8)


def _for_fbgemm(weight: Tensor, scale: Tensor) -> Any:
    """A weight and its scales as FBGEMM's operators take them."""
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = "fbgemm"
    try:
        with warnings.catch_warnings():
            # Tensors of the type are to leave PyTorch some day; its version is pinned here.
            warnings.filterwarnings("ignore", ".*quantized tensor creation functions", UserWarning)
            whole = torch._make_per_channel_quantized_tensor(
                weight, scale.double(), torch.zeros(len(scale)).long(), 0
            )
        return torch.ops.quantized.linear_prepack(whole, None)
    finally:
        torch.backends.quantized.engine = before


def _onednn(
    shifted: Tensor,
    shift: int,
    weight: Tensor,
    scale: Tensor,
    zero: Tensor,
    dtype: torch.dtype,
) -> Tensor:
    result: Tensor = torch.ops.onednn.qlinear_pointwise(
        *(shifted.to(torch.uint8), 1.0, shift, weight, scale, zero, None),
        *(1.0, 0, dtype, "none", [], ""),
    )
    return result


@cache
def overflows() -> bool:
    """Whether oneDNN's 8-bit sums are wrong on this processor when its numbers are large.

    Without VNNI instructions it adds products of 8 bits in pairs of 16 bits, which are cut off at
    their limit (https://uxlfoundation.github.io/oneDNN/dev_guide_int8_computations.html). That is
    tried out: processors are too many to be listed.
    """
    weight = torch.full((64, 256), LARGEST, dtype=torch.int8)
    prepacked = torch.ops.onednn.qlinear_prepack(weight, None)
    one, zero = torch.ones(64), torch.zeros(64, dtype=torch.int64)
    right = float(LARGEST * LARGEST * 256)
    sums = [
        _onednn(
            torch.full((rows, 256), float(LARGEST + SHIFT)), SHIFT, prepacked, one, zero, one.dtype
        )
        for rows in (1, 2, 9, 64)
    ]
    return any(bool((each != right).any()) for each in sums)


def packed(layer: Int8Linear) -> nn.Module:
    """The layer laid out beforehand for the fastest operator that is right on this processor.

    The layer itself, where this build of PyTorch has no such operator.
    """
    if not all(hasattr(torch.ops.onednn, name) for name in OPERATORS):
        return layer
    if not overflows():
        return PackedInt8(layer)
    if "fbgemm" not in torch.backends.quantized.supported_engines:
        return layer
    excess = excess_of(layer.weight)
    few = int(excess.count_nonzero()) <= MOST_EXCESS * excess.numel()
    return CappedInt8(layer, excess) if few and torch._C.has_mkl else HalvedInt8(layer)


def quantise_linears(model: nn.Module, skip: Sequence[str] = ()) -> int:
    """Replace the linear layers below a module by 8-bit ones, but those named; returns how many."""
    replaced = 0
    for name, child in list(model.named_children()):
        if name in skip:
            continue
        if type(child) is nn.Linear:
            setattr(model, name, Int8Linear.quantise(child))
            replaced += 1
        else:
            replaced += quantise_linears(child, skip)
    return replaced
