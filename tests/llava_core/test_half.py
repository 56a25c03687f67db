"""Weights in float16, products in float32: close to whole weights, joined or not, in every use."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers import LlavaForConditionalGeneration

from llava_core import loading
from llava_core.engine.generate import generate
from llava_core.engine.linear import product_of
from llava_core.engine.sampling import SamplingParams
from llava_core.errors import CheckpointError
from llava_core.half import HalfLinear, has_half_products, use_half_products
from llava_core.loading import load_checkpoint
from tests.llava_core.engine.engines import TALKS
from tests.llava_core.engine.test_precisions import first_logits, own_logits
from tests.tiny_checkpoint import make_tiny_checkpoint

pytestmark = pytest.mark.skipif(not has_half_products(), reason="PyTorch without FBGEMM")


@pytest.fixture(autouse=True)
def without_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "native_bfloat16", lambda device: False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_checkpoint(tmp_path_factory.mktemp("half") / "tiny", language="mistral")


def layer_of(inputs: int, outputs: int, bias: bool = True) -> nn.Linear:
    torch.manual_seed(outputs)
    return nn.Linear(inputs, outputs, bias)


def rounded(layer: nn.Linear, inputs: Tensor) -> Tensor:
    return linear(inputs, layer.weight.half().float(), layer.bias)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("number", [0, 1, 2, 9, 70])
def test_only_the_weights_are_rounded(bias: bool, number: int) -> None:
    layer, inputs = layer_of(97, 70, bias), torch.randn(number, 97)
    with torch.inference_mode():
        theirs = rounded(layer, inputs)
        torch.testing.assert_close(HalfLinear.of(layer)(inputs), theirs, rtol=1e-5, atol=1e-5)
        deep = inputs.view(1, number, 97)
        torch.testing.assert_close(HalfLinear.of(layer)(deep)[0], theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
def test_joined_layers_give_their_outputs_side_by_side(bias: bool) -> None:
    layers, inputs = [layer_of(32, outputs, bias) for outputs in (16, 8)], torch.randn(5, 32)
    half = [HalfLinear.of(layer) for layer in layers]
    with torch.inference_mode():
        theirs = torch.cat([rounded(layer, inputs) for layer in layers], -1)
        product = product_of(half)
        torch.testing.assert_close(product(inputs), theirs, rtol=1e-5, atol=1e-5)
    assert isinstance(product, HalfLinear) and not any(each.weight.numel() for each in half)


def test_layers_of_which_only_some_have_a_bias_are_refused() -> None:
    with pytest.raises(ValueError, match="all have a bias or none"):
        HalfLinear.join([HalfLinear.of(layer_of(8, 8, bias)) for bias in (True, False)])


def test_a_weight_beyond_float16_is_told_with_what_to_do() -> None:
    model = nn.ModuleDict({"body": nn.Sequential(layer_of(8, 8).to(torch.bfloat16))})
    model["body"][0].weight.data[0, 0] = 1e6
    with pytest.raises(CheckpointError, match=r"body\.0: a weight does not fit") as caught:
        use_half_products(model)
    assert "--precision 32bit" in caught.value.remedy


def test_what_is_no_product_is_widened(folder: Path) -> None:
    loaded = load_checkpoint(folder, "16bit", "cpu", serving=True)
    assert loaded.dtype == torch.float32 and loaded.precision == "16bit"
    kinds = {type(module) for module in loaded.model.modules()}
    assert HalfLinear in kinds and nn.Linear not in kinds
    assert all(p.dtype == torch.float32 for p in loaded.model.parameters())


def test_what_may_be_trained_has_layers_that_can_be(folder: Path) -> None:
    loaded = load_checkpoint(folder, "16bit", "cpu")
    assert HalfLinear not in {type(module) for module in loaded.model.modules()}


@pytest.mark.parametrize("rows", [7, 512])
def test_logits_are_close_to_those_of_whole_weights(folder: Path, rows: int) -> None:
    theirs = own_logits(load_checkpoint(folder, "32bit", "cpu"))
    own = own_logits(load_checkpoint(folder, "16bit", "cpu", serving=True))
    ours = first_logits(load_checkpoint(folder, "16bit", "cpu", serving=True), rows)
    for each in (own, ours):
        assert 0 < float((each - theirs).norm() / theirs.norm()) < 0.003


def test_tied_embeddings_stay_whole(tmp_path: Path) -> None:
    tied = make_tiny_checkpoint(tmp_path / "tied", language="mistral")
    model = LlavaForConditionalGeneration.from_pretrained(tied)
    model.config.text_config.tie_word_embeddings = model.config.tie_word_embeddings = True
    model.tie_weights()
    model.save_pretrained(tied)
    loaded = load_checkpoint(tied, "16bit", "cpu", serving=True).model
    assert type(loaded.get_output_embeddings()) is HalfLinear
    theirs = own_logits(load_checkpoint(tied, "32bit", "cpu"))
    ours = first_logits(load_checkpoint(tied, "16bit", "cpu", serving=True), 512)
    assert float((ours - theirs).norm() / theirs.norm()) < 0.003


def test_plain_generation_answers(folder: Path) -> None:
    loaded = load_checkpoint(folder, "16bit", "cpu", serving=True)
    pieces = list(generate(loaded, TALKS[3], SamplingParams(max_tokens=4)))
    assert pieces[-1].completion_tokens >= 1
