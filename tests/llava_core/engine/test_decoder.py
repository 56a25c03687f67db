"""The decoder's logits are the model's own, over blocks in any order and in chunks of any size."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from llava_core.assembling import assemble
from llava_core.engine.blocks import Copy
from llava_core.engine.decoder import LANGUAGES, Decoder, Shape
from llava_core.engine.keys_values import KeysValues, Span, runs_of
from llava_core.engine.runner import last_rows, spans_of
from llava_core.engine.scheduler import Part
from tests.llava_core.engine.requests import Light
from tests.tiny_checkpoint import make_model, make_tokenizer

SIZE = 4
IDS = torch.arange(6, 27) * 7 % 250 + 10
ROPES: dict[str, dict[str, Any]] = {
    "default": {},
    "linear": {"factor": 4.0},
    "yarn": {"factor": 4.0, "original_max_position_embeddings": 16},
    "llama3": {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    },
}


def llava(**changes: Any) -> PreTrainedModel:
    """A LLaVA whose Llama has unusual settings."""
    model: Any = make_model(make_tokenizer())
    config = LlamaConfig(**{**model.config.text_config.to_dict(), **changes})
    torch.manual_seed(1)
    text = LlamaForCausalLM(config)
    made = assemble(model.model.vision_tower, text, image_token_id=3, image_seq_length=16)
    made.train(False)
    return made


def whole(model: PreTrainedModel) -> Tensor:
    """The model's own logits of all of IDS."""
    with torch.inference_mode():
        logits: Tensor = model(input_ids=IDS[None]).logits[0]
    return logits


def stepwise(model: PreTrainedModel, blocks: list[int], ends: list[int]) -> Tensor:
    """The decoder's logits of IDS, in steps that end at ``ends``."""
    decoder = Decoder(copy.deepcopy(model))
    cache = KeysValues(decoder.shape, 12, SIZE, torch.float32, torch.device("cpu"))
    parts = []
    with torch.inference_mode():
        for start, end in zip([0, *ends], ends, strict=False):
            attention = cache.step([Span(0, end - start, blocks, end)])
            rows = decoder(decoder.embed(IDS[start:end]), torch.arange(start, end), attention)
            parts.append(decoder.logits(rows))
    return torch.cat(parts)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("blocks", [[0, 1, 2, 3, 4, 5], [5, 6, 2, 3, 10, 0], [9, 7, 5, 3, 1, 11]])
@pytest.mark.parametrize("ends", [[21], [4, 5, 6, 7, 8, 9, 21], [*range(1, 22)]])
def test_logits_are_the_models_own(language: str, blocks: list[int], ends: list[int]) -> None:
    model = make_model(make_tokenizer(), language=language)
    model.train(False)
    torch.testing.assert_close(stepwise(model, blocks, ends), whole(model), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ROPES)
def test_positions_of_every_kind_are_turned_as_the_model_does(kind: str) -> None:
    parameters = {"rope_type": kind, "rope_theta": 100.0, **ROPES[kind]}
    model = llava(rope_parameters=parameters)
    torch.testing.assert_close(
        stepwise(model, [3, 4, 5, 6, 7, 8], [10, 11, 21]), whole(model), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"attention_bias": True, "mlp_bias": True},
        {"tie_word_embeddings": True},
        {"num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 8},
        {"num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 32},
        {"hidden_act": "gelu_pytorch_tanh", "rms_norm_eps": 0.1},
    ],
    ids=str,
)
def test_settings_of_the_language_model_are_kept(changes: dict[str, Any]) -> None:
    model = llava(**changes)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.3)
    torch.testing.assert_close(
        stepwise(model, [3, 4, 5, 9, 10, 11], [10, 11, 21]), whole(model), rtol=1e-4, atol=1e-4
    )


# --- the cache ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("blocks", "total", "runs"),
    [
        ([0, 1, 2], 12, [(0, 12)]),
        ([0, 1, 2], 9, [(0, 9)]),
        ([2, 3, 0], 10, [(8, 16), (0, 2)]),
        ([3, 2, 1], 5, [(12, 16), (8, 9)]),
        ([0, 1, 5, 6, 7], 4, [(0, 4)]),
    ],
)
def test_blocks_side_by_side_make_one_run(
    blocks: list[int], total: int, runs: list[tuple[int, int]]
) -> None:
    assert runs_of(Span(0, 1, blocks, total), SIZE) == runs


def test_the_beginning_of_a_block_is_copied_and_nothing_else() -> None:
    shape = Shape(layers=2, heads=2, key_heads=1, width=3)
    cache = KeysValues(shape, 3, SIZE, torch.float32, torch.device("cpu"))
    for index in range(2):
        cache.layer(index).copy_(torch.randn(2, 1, 12, 3))
    before = [cache.layer(index).clone() for index in range(2)]
    cache.copy(Copy(source=2, target=0, tokens=3))
    for index in range(2):
        assert torch.equal(cache.layer(index)[:, :, :3], before[index][:, :, 8:11])
        assert torch.equal(cache.layer(index)[:, :, 3:], before[index][:, :, 3:])
    assert cache.bytes_of_block(shape, SIZE, torch.float32) * 3 == 2 * cache.layer(0).nbytes


def test_rows_of_a_step_stand_one_part_after_the_other() -> None:
    answering, reading, done = Light([1] * 5), Light([1] * 9), Light([1] * 4)
    for request, blocks in ((answering, [7]), (reading, [0, 1]), (done, [4])):
        request.owned.blocks = blocks
    parts = [Part(answering, 4, 5), Part(reading, 2, 6), Part(done, 1, 4)]
    spans = spans_of(parts)
    assert [(span.first, span.last, span.total, span.rows) for span in spans] == [
        (0, 1, 5, 1),
        (1, 5, 6, 4),
        (5, 8, 4, 3),
    ]
    assert [span.blocks for span in spans] == [[7], [0, 1], [4]]
    assert last_rows(parts) == [0, 7], "the second one is still being read"
