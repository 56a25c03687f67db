"""Products with weights: equal to PyTorch's, joined or not, and nothing is held twice."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from llava_core.devices import native_bfloat16
from llava_core.engine.linear import (
    GROUPED_ROWS,
    GroupedLinear,
    PackedLinear,
    PlainLinear,
    head_product,
    is_bitsandbytes_int8,
    pack_linears,
    packing_available,
    product_of,
)
from llava_core.int8 import LARGEST, Int8Linear, PackedInt8

ROWS = [1, 2, 8, 65]


def layers_of(*outputs: int, bias: bool = True, inputs: int = 48) -> list[nn.Module]:
    torch.manual_seed(0)
    return [nn.Linear(inputs, each, bias) for each in outputs]


def rows(number: int, inputs: int = 48) -> Tensor:
    torch.manual_seed(number)
    return torch.randn(number, inputs)


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("number", ROWS)
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_product_is_pytorchs(number: int, bias: bool) -> None:
    [layer] = layers_of(33, bias=bias)
    assert isinstance(layer, nn.Linear)
    product = PackedLinear(layer.weight.detach(), layer.bias.detach() if bias else None)
    with torch.inference_mode():
        close(product(rows(number)), linear(rows(number), layer.weight, layer.bias))
        deep = rows(12).view(2, 2, 3, 48)
        close(product(deep), linear(deep, layer.weight, layer.bias))


@pytest.mark.parametrize("number", ROWS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("outputs", [(40,), (32, 16, 16), (64, 64)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_joined_products_are_those_of_the_layers_side_by_side(
    number: int, bias: bool, outputs: tuple[int, ...], dtype: torch.dtype
) -> None:
    layers = [layer.to(dtype) for layer in layers_of(*outputs, bias=bias)]
    inputs = rows(number).to(dtype)
    with torch.inference_mode():
        theirs = torch.cat([layer(inputs) for layer in layers], -1)
        ours = product_of(layers)(inputs)
    assert ours.shape == (number, sum(outputs)) and ours.dtype == dtype
    close(ours, theirs)


@pytest.mark.parametrize("number", [*ROWS, GROUPED_ROWS, GROUPED_ROWS + 1])
@pytest.mark.parametrize("bias", [True, False])
def test_a_product_in_groups_is_pytorchs(number: int, bias: bool) -> None:
    [layer] = layers_of(40, bias=bias)
    assert isinstance(layer, nn.Linear)
    product = GroupedLinear(layer.weight.detach(), layer.bias.detach() if bias else None)
    with torch.inference_mode():
        close(product(rows(number)), linear(rows(number), layer.weight, layer.bias))


@pytest.mark.parametrize("avx512", [True, False])
def test_float32_on_a_cpu_is_laid_out_as_is_fast_there(
    avx512: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llava_core.engine.linear.has_avx512", lambda: avx512)
    packs = packing_available()
    kind = (PackedLinear if avx512 else GroupedLinear) if packs else PlainLinear
    assert type(product_of(layers_of(8))) is kind
    assert type(product_of(layers_of(9))) is (PackedLinear if packs else PlainLinear)
    assert type(product_of([layers_of(8)[0].to(torch.float16)])) is PlainLinear


@pytest.mark.parametrize("native", [True, False])
def test_bfloat16_is_laid_out_where_the_processor_multiplies_it(
    native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not native:
        monkeypatch.setattr("llava_core.engine.linear.native_bfloat16", lambda device: False)
    elif not (native_bfloat16(torch.device("cpu")) and packing_available()):
        pytest.skip("this processor multiplies no bfloat16")
    layer = layers_of(8)[0].to(torch.bfloat16)
    inputs = rows(3).to(torch.bfloat16)
    with torch.inference_mode():
        theirs = layer(inputs)
        product = product_of([layer])
        assert type(product) is (PackedLinear if native else PlainLinear)
        torch.testing.assert_close(product(inputs), theirs)


def test_layers_give_up_their_weights() -> None:
    layers = layers_of(16, 16)
    product_of(layers)
    assert all(layer.weight.numel() == 0 for layer in layers)


def test_layers_of_which_only_some_have_a_bias_are_refused() -> None:
    layers = [*layers_of(8), *layers_of(8, bias=False)]
    with pytest.raises(ValueError, match="all have a bias or none"):
        product_of(layers)
    assert all(layer.weight.numel() for layer in layers), "they are still whole"


class Adapted(nn.Linear):
    """A linear layer with something beside it, as an adapter has."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + 1


def test_layers_of_another_kind_are_called_as_they_are() -> None:
    plain, adapted = layers_of(16)[0], Adapted(48, 8)
    inputs = rows(3)
    with torch.inference_mode():
        theirs = torch.cat([plain(inputs), adapted(inputs)], -1)
        close(product_of([plain, adapted])(inputs), theirs)
        assert product_of([adapted]) is adapted
        close(plain(inputs), theirs[:, :16])


def test_int8_layers_are_joined_and_mixed_ones_are_not() -> None:
    first, second, third = layers_of(16, 8, 8)
    eight = [Int8Linear.quantise(each) for each in (first, second)]  # type: ignore[arg-type]
    inputs = rows(5)
    with torch.inference_mode():
        joined = product_of(eight)
        assert isinstance(joined, PackedInt8)
        close(joined(inputs), torch.cat([each(inputs) for each in eight], -1))
        mixed = product_of([eight[0], third])(inputs)
        close(mixed, torch.cat([eight[0](inputs), third(inputs)], -1))


# --- the head -------------------------------------------------------------------------------------


@pytest.mark.parametrize("tied", [True, False])
def test_a_heads_product_keeps_the_embeddings_it_is_tied_to(tied: bool) -> None:
    torch.manual_seed(0)
    embeddings, head = nn.Embedding(50, 48), nn.Linear(48, 50, bias=False)
    if tied:
        head.weight = embeddings.weight
    before, inputs = embeddings.weight.detach().clone(), rows(3)
    with torch.inference_mode():
        theirs = head(inputs)
        close(head_product(head, embeddings)(inputs), theirs)
        assert torch.equal(embeddings(torch.arange(50)), before)
    assert head.weight.numel() == (50 * 48 if tied else 0)


def test_a_head_beside_layers_of_eight_bits_has_eight_bits_too() -> None:
    embeddings, [head] = nn.Embedding(50, 48), layers_of(50, bias=False)
    product = head_product(head, embeddings, eight_bit=True)
    assert isinstance(product, PackedInt8) and head.weight.numel() == 0


# --- all layers below a module --------------------------------------------------------------------


def test_a_packed_module_computes_what_it_did() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(48, 32), nn.GELU(), nn.ModuleDict({"deep": nn.Linear(32, 8)})["deep"]
    )
    inputs = rows(7)
    with torch.inference_mode():
        theirs = model(inputs)
        pack_linears(model)
        close(model(inputs), theirs)
    assert packing_available() == (type(model[0]) is PackedLinear)


def test_layers_of_other_kinds_and_types_are_left_as_they_are() -> None:
    other, half = Adapted(4, 4), nn.Linear(4, 4).to(torch.float16)
    model = nn.Sequential(other, half)
    pack_linears(model)
    assert list(model) == [other, half]


# --- bitsandbytes' layers -------------------------------------------------------------------------


class Linear8bitLt(nn.Module):
    """What the product sees of bitsandbytes' 8-bit layer: whole numbers, and a scale for each."""

    __module__ = "bitsandbytes.nn"

    def __init__(self, layer: nn.Linear, in_state: bool) -> None:
        super().__init__()
        eight = Int8Linear.quantise(layer)
        self.weight = nn.Parameter(eight.weight, requires_grad=False)
        self.weight.SCB = None if in_state else eight.scale * LARGEST  # type: ignore[attr-defined]
        self.bias = layer.bias
        self.state = SimpleNamespace(SCB=eight.scale * LARGEST if in_state else None)


@pytest.mark.parametrize("in_state", [True, False])
def test_bitsandbytes_layers_on_a_cpu_are_taken_over(in_state: bool) -> None:
    plain = layers_of(16, 8)
    eight = [Linear8bitLt(copy.deepcopy(each), in_state) for each in plain]  # type: ignore[arg-type]
    assert all(is_bitsandbytes_int8(each) for each in eight)
    inputs = rows(4)
    with torch.inference_mode():
        theirs = [Int8Linear.quantise(each)(inputs) for each in plain]  # type: ignore[arg-type]
        close(product_of(list(eight))(inputs), torch.cat(theirs, -1))
    assert all(each.weight.numel() == 0 for each in eight)
