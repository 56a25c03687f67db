"""Published checkpoints: their parameters, counted, and what fits where."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForImageTextToText,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaNextConfig,
    LlavaOnevisionConfig,
    MistralConfig,
    Qwen2Config,
    SiglipVisionConfig,
)

from llava_core.known import KNOWN, fits

CPU, GPU = torch.device("cpu"), torch.device("cuda")
TOWER = CLIPVisionConfig(
    hidden_size=1024,
    intermediate_size=4096,
    num_hidden_layers=24,
    num_attention_heads=16,
    image_size=336,
    patch_size=14,
    projection_dim=768,
)
SIGLIP = SiglipVisionConfig(
    hidden_size=1152,
    intermediate_size=4304,
    num_hidden_layers=26,
    num_attention_heads=16,
    image_size=384,
    patch_size=14,
    vision_use_head=False,
)


def language(kind: Any, width: int, inner: int, layers: int, heads: int, **more: Any) -> Any:
    return kind(
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        **{"vocab_size": 32064, **more},
    )


SEVEN = language(LlamaConfig, 4096, 11008, 32, 32)
THIRTEEN = language(LlamaConfig, 5120, 13824, 40, 40)
MISTRAL = language(MistralConfig, 4096, 14336, 32, 32, num_key_value_heads=8)
YI = language(LlamaConfig, 7168, 20480, 60, 56, num_key_value_heads=8, vocab_size=64064)
HALF = language(
    Qwen2Config,
    *(896, 4864, 24, 14),
    num_key_value_heads=2,
    vocab_size=152000,
    tie_word_embeddings=True,
)
QWEN = language(Qwen2Config, 3584, 18944, 28, 28, num_key_value_heads=4, vocab_size=152128)
ARCHITECTURES: dict[str, Any] = {
    "llava-1.5-7b": LlavaConfig(vision_config=TOWER, text_config=SEVEN),
    "llava-1.5-13b": LlavaConfig(vision_config=TOWER, text_config=THIRTEEN),
    "llava-v1.6-vicuna-7b": LlavaNextConfig(vision_config=TOWER, text_config=SEVEN),
    "llava-v1.6-mistral-7b": LlavaNextConfig(vision_config=TOWER, text_config=MISTRAL),
    "llava-v1.6-34b": LlavaNextConfig(vision_config=TOWER, text_config=YI),
    "llava-onevision-qwen2-0.5b-ov": LlavaOnevisionConfig(
        vision_config=SIGLIP, text_config=HALF, tie_word_embeddings=True
    ),
    "llava-onevision-qwen2-7b-ov": LlavaOnevisionConfig(vision_config=SIGLIP, text_config=QWEN),
}


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.source)
def test_the_parameters_are_those_of_the_architecture(known: Any) -> None:
    config = ARCHITECTURES[known.source.removeprefix("llava-hf/").removesuffix("-hf")]
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    counted = sum(each.numel() for each in model.parameters())
    assert known.parameters == pytest.approx(counted, abs=60_000_000)


def found(device: torch.device, free: float) -> dict[str, str | None]:
    made = fits(device, int(free * 1e9), bfloat16=False)
    return {fit.known.source.removeprefix("llava-hf/"): fit.precision for fit in made}


def test_a_small_gpu_takes_seven_billion_parameters_in_few_bits() -> None:
    fitting = found(GPU, 8)
    assert fitting["llava-1.5-7b-hf"] == "4bit"
    assert fitting["llava-onevision-qwen2-0.5b-ov-hf"] == "16bit"
    assert fitting["llava-1.5-13b-hf"] is None
    assert found(GPU, 24)["llava-1.5-7b-hf"] == "16bit"


def test_the_command_names_checkpoint_and_precision_and_is_empty_where_none_fits() -> None:
    by_name = {fit.known.source: fit for fit in fits(CPU, 10**10, bfloat16=False)}
    fit = by_name["llava-hf/llava-1.5-7b-hf"]
    command = "python app.py --model llava-hf/llava-1.5-7b-hf --precision 8bit"
    assert (fit.command, fit.needed) == (command, 9_075_000_000)
    large = by_name["llava-hf/llava-v1.6-34b-hf"]
    assert (large.command, large.precision) == ("", None) and large.needed > 10**10
