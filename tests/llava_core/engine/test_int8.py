"""8-bit layers: close to the float ones, and a row's result depends on nothing but the row."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from llava_core import int8
from llava_core.devices import native_bfloat16
from llava_core.int8 import (
    SHIFT,
    CappedInt8,
    HalvedInt8,
    Int8Linear,
    PackedInt8,
    excess_of,
    packed,
    quantise_linears,
)


def layer_of(inputs: int, outputs: int, bias: bool = True) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(inputs, outputs, bias)


def capped(layer: Int8Linear) -> CappedInt8:
    return CappedInt8(layer, excess_of(layer.weight))


def error(ours: Tensor, theirs: Tensor) -> float:
    """Relative to the size of the whole output."""
    return float((ours - theirs).norm() / theirs.norm())


@pytest.mark.parametrize(("inputs", "outputs"), [(64, 32), (256, 512), (1024, 100)])
@pytest.mark.parametrize("bias", [True, False])
def test_the_error_is_small(inputs: int, outputs: int, bias: bool) -> None:
    layer, rows = layer_of(inputs, outputs, bias), torch.randn(50, inputs)
    with torch.inference_mode():
        assert 0 < error(Int8Linear.quantise(layer)(rows), layer(rows)) < 0.02


def test_rows_and_outputs_of_very_different_size_have_each_their_own_scale() -> None:
    layer, rows = layer_of(128, 128, bias=False), torch.randn(128, 128)
    sizes = torch.logspace(-4, 4, 128)[:, None]
    with torch.inference_mode():
        ours, theirs = Int8Linear.quantise(layer)(rows * sizes), layer(rows * sizes)
        assert max(error(a, b) for a, b in zip(ours, theirs, strict=True)) < 0.02
        layer.weight *= sizes
        ours, theirs = Int8Linear.quantise(layer)(rows), layer(rows)
        assert max(error(a, b) for a, b in zip(ours.T, theirs.T, strict=True)) < 0.02


@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(0, 39))
@settings(max_examples=30, deadline=None)
def test_a_rows_result_is_the_same_bits_whatever_else_is_computed(
    seed: int, number: int, which: int
) -> None:
    layer = Int8Linear.quantise(layer_of(96, 72))
    rows = torch.randn(number, 96, generator=torch.Generator().manual_seed(seed))
    one = which % number
    with torch.inference_mode():
        alone, all_rows = layer(rows[one : one + 1]), layer(rows)
        assert torch.equal(all_rows[one : one + 1], alone)
        assert torch.equal(layer(rows.flip(0)).flip(0), all_rows)


def test_a_row_without_numbers_leaves_the_others_alone() -> None:
    layer, rows = Int8Linear.quantise(layer_of(32, 16)), torch.randn(3, 32)
    with torch.inference_mode():
        right = layer(rows)
        rows[1, 5] = torch.nan
        spoilt = layer(rows)
    assert spoilt[1].isnan().all()
    assert torch.equal(spoilt[[0, 2]], right[[0, 2]])


def test_nothing_in_gives_the_bias_out() -> None:
    layer = layer_of(32, 16)
    with torch.inference_mode():
        assert torch.equal(Int8Linear.quantise(layer)(torch.zeros(2, 32)), layer.bias.expand(2, -1))


def test_no_rows_in_give_no_rows_out() -> None:
    assert Int8Linear.quantise(layer_of(32, 16))(torch.zeros(0, 32)).shape == (0, 16)


def test_shapes_and_types_of_inputs_are_kept() -> None:
    layer = Int8Linear.quantise(layer_of(32, 16))
    with torch.inference_mode():
        deep = torch.randn(2, 3, 32)
        assert torch.equal(layer(deep), layer(deep.view(6, 32)).view(2, 3, 16))
        half = layer(deep.to(torch.bfloat16))
        assert half.dtype == torch.bfloat16 and error(half.float(), layer(deep)) < 0.03
        rows = deep.view(6, 32)
        for laid_out in (packed(layer), HalvedInt8(layer), capped(layer)):
            if type(laid_out) is PackedInt8 and not native_bfloat16(torch.device("cpu")):
                continue  # such a model is not made there
            half = laid_out(rows.to(torch.bfloat16))
            assert half.dtype == torch.bfloat16 and error(half.float(), layer(rows)) < 0.03


@pytest.mark.parametrize("bias", [True, False])
def test_joined_layers_give_their_outputs_side_by_side(bias: bool) -> None:
    layers = [Int8Linear.quantise(layer_of(32, outputs, bias)) for outputs in (16, 8)]
    rows = torch.randn(5, 32)
    with torch.inference_mode():
        theirs = torch.cat([layer(rows) for layer in layers], -1)
        assert torch.equal(Int8Linear.join(layers)(rows), theirs)


def test_layers_of_which_only_some_have_a_bias_cannot_be_joined() -> None:
    layers = [Int8Linear.quantise(layer_of(32, 16, bias)) for bias in (True, False)]
    with pytest.raises(ValueError, match="all have a bias or none"):
        Int8Linear.join(layers)


def test_all_layers_but_those_named_are_replaced() -> None:
    model = nn.ModuleDict(
        {
            "head": nn.Linear(16, 16),
            "body": nn.Sequential(nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 16)),
            "tower": nn.Sequential(nn.Linear(16, 16)),
        }
    )
    assert quantise_linears(model, skip=("head", "tower")) == 2
    kinds = {name: type(module) for name, module in model.named_modules()}
    assert kinds["head"] is kinds["tower.0"] is nn.Linear
    assert kinds["body.0"] is kinds["body.2"] is Int8Linear


def test_the_weights_take_a_quarter() -> None:
    layer = layer_of(1024, 256, bias=False)
    held = sum(buffer.nbytes for buffer in Int8Linear.quantise(layer).buffers())
    assert held < 0.26 * layer.weight.nbytes


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("number", [0, 1, 2, 9, 70])
def test_the_packed_layer_computes_the_same(bias: bool, number: int) -> None:
    layer = Int8Linear.quantise(layer_of(96, 72, bias))
    sizes = torch.logspace(-3, 3, number)[:, None]
    rows = torch.randn(number, 96) * sizes
    with torch.inference_mode():
        for laid_out in (packed(layer), HalvedInt8(layer), capped(layer)):
            ours, theirs = laid_out(rows) / sizes, layer(rows) / sizes
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [packed, HalvedInt8, capped])
def test_a_packed_row_is_the_same_bits_whatever_else_is_computed(
    kind: Callable[[Int8Linear], nn.Module],
) -> None:
    layer = kind(Int8Linear.quantise(layer_of(96, 72)))
    rows = torch.randn(33, 96)
    with torch.inference_mode():
        together = layer(rows)
        assert all(torch.equal(layer(rows[i : i + 1])[0], together[i]) for i in range(33))


def test_without_the_operators_the_layer_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Int8Linear.quantise(layer_of(96, 72))
    assert isinstance(packed(layer), PackedInt8)
    monkeypatch.setattr(int8, "OPERATORS", ("qlinear_of_another_year",))
    assert packed(layer) is layer


@pytest.mark.parametrize("number", [1, 2, 9, 70])
@pytest.mark.parametrize("sign", [1, -1])
def test_sums_of_the_largest_numbers_do_not_overflow(number: int, sign: int) -> None:
    weight = torch.full((24, 512), 127, dtype=torch.int8)
    layer = Int8Linear(weight, torch.ones(24), None)
    inputs = torch.full((number, 512), sign * 127.0)
    expected = torch.full((number, 24), sign * 127.0 * 127.0 * 512.0)
    for each in (packed(layer), HalvedInt8(layer), capped(layer), layer):
        torch.testing.assert_close(each(inputs), expected, rtol=1e-6, atol=0)


@given(st.integers(0, 2**31), st.integers(1, 9))
@settings(max_examples=50, deadline=None)
def test_capped_weights_and_their_excess_are_the_weights_and_fit_into_16_bits(
    seed: int, inputs: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    weight = torch.randint(-127, 128, (6, inputs), dtype=torch.int8, generator=random)
    kept = weight.int() - excess_of(weight)
    assert kept.abs().le(weight.int().abs()).all()
    for largest in (0, 2 * SHIFT - 1):
        for other in (0, 2 * SHIFT - 1):
            pairs = nn.functional.pad(kept, (0, inputs % 2)).unflatten(1, (-1, 2))
            sums = pairs[..., 0] * largest + pairs[..., 1] * other
            assert int(sums.min()) >= -(2**15) and int(sums.max()) < 2**15


def test_an_input_of_the_last_odd_place_counts() -> None:
    layer = Int8Linear(torch.full((4, 5), 127, dtype=torch.int8), torch.ones(4), None)
    rows = torch.tensor([[0.0, 0.0, 0.0, 0.0, 3.0]])
    assert torch.equal(capped(layer)(rows), torch.full((1, 4), 3.0 * 127))


@pytest.mark.parametrize(("spread", "kind"), [(10, CappedInt8), (1000, HalvedInt8)])
def test_weights_with_few_large_pairs_are_capped(
    spread: float, kind: type[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "overflows", lambda: True)
    torch.manual_seed(0)
    weight = (spread * torch.randn(64, 64)).clamp(-127, 127).to(torch.int8)
    assert type(packed(Int8Linear(weight, torch.ones(64), None))) is kind


def test_laying_out_for_fbgemm_leaves_pytorchs_settings_as_they_were() -> None:
    before = torch.backends.quantized.engine
    HalvedInt8(Int8Linear.quantise(layer_of(96, 72)))
    assert torch.backends.quantized.engine == before
