"""LLaVA 1.5, LLaVA-NeXT and LLaVA-OneVision: the engine answers as plain generation does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import (
    Gemma2Config,
    LlamaConfig,
    LlavaConfig,
    MistralConfig,
    PhiConfig,
    Qwen2Config,
    Qwen3Config,
)

from llava_core.conversation import Conversation, assistant, user
from llava_core.engine.decoder import why_not
from llava_core.engine.features import FeatureCache
from llava_core.engine.request import Picture, pictures_of
from llava_core.engine.sampling import SamplingParams
from llava_core.engine.scheduler import Limits
from llava_core.loading import load_checkpoint
from llava_core.model import Checkpoint
from tests.llava_core.engine import engines
from tests.llava_core.engine.engines import Right, Told, engine_of, run_out
from tests.llava_core.test_families import make_next, make_onevision
from tests.tiny_checkpoint import VISUAL_TOKENS, make_tiny_checkpoint

TALL = Image.new("RGB", (20, 60), "red")
WIDE = Image.linear_gradient("L").convert("RGB").resize((100, 30))
SQUARE = Image.radial_gradient("L").convert("RGB").resize((60, 58))
TALKS = (
    Conversation((user("What?", TALL),)),
    Conversation((user("What?", WIDE),)),
    Conversation((user("What?", SQUARE),)),
    Conversation((user("What?", TALL, SQUARE),)),
    Conversation((user("What?", TALL), assistant("A star."), user("And here?", WIDE))),
    Conversation((user("What?"),)),
)
FAMILY: dict[str, Callable[[Path], Path]] = {
    "llava, mlp": partial(make_tiny_checkpoint, projector="mlp2x_gelu", seed=2),
    "llava, linear": partial(make_tiny_checkpoint, projector="linear", seed=2),
    "next": make_next,
    "onevision": make_onevision,
}
SHORT = SamplingParams(max_tokens=16)


@pytest.fixture(scope="module", params=FAMILY)
def member(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """One of the family, saved and loaded."""
    make = FAMILY[request.param]
    return load_checkpoint(make(tmp_path_factory.mktemp("family") / "model"), "32bit", "cpu")


@pytest.fixture
def right(member: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> Right:
    monkeypatch.setattr(engines, "TALKS", TALKS)
    return Right(member)


@pytest.mark.parametrize("rows", [13, 512])
def test_all_talks_at_once_are_answered_as_by_plain_generation(right: Right, rows: int) -> None:
    engine = engine_of(right.checkpoint, Limits(8, rows_alone=rows, rows_beside=rows))
    told = [Told() for _ in TALKS]
    for talk, each in zip(TALKS, told, strict=True):
        engine.submit(talk, SHORT, each)
    run_out(engine)
    wanted = [right.tokens(number, SHORT) for number in range(len(TALKS))]
    assert [each.tokens for each in told] == wanted
    assert len({tuple(tokens) for tokens in wanted}) == len(TALKS), "pictures make no difference"


def test_a_picture_is_looked_at_once_whatever_stands_beside_it(member: Checkpoint) -> None:
    """Beside a picture of more tiles, a smaller one is filled up with empty tiles."""
    engine = engine_of(member)
    for talk in TALKS:
        engine.submit(talk, SHORT, Told())
    run_out(engine)
    assert engine.features.misses == 3


def test_every_picture_has_its_own_part_of_the_processors_tensors(member: Checkpoint) -> None:
    inputs = member.prepare(TALKS[3])
    token = member.renderer.image_token_id
    tall, square = pictures_of(inputs, token)
    assert (tall.end - tall.start, square.end - square.start) == inputs.visual_tokens
    assert [*range(tall.start, tall.end), *range(square.start, square.end)] == (
        (inputs.input_ids[0] == token).nonzero()[:, 0].tolist()
    )
    for name, value in inputs.pictures.items():
        assert torch.equal(torch.cat([tall.inputs[name], square.inputs[name]]), value)
    [alone] = pictures_of(member.prepare(TALKS[0]), token)
    assert alone.digest == tall.digest != square.digest
    assert {alone.key(0), alone.key(1)} == {tall.key(0), tall.key(1)}
    assert tall.key(1) not in (tall.key(0), square.key(1)) and tall.key(0) < 0


# --- features of pictures -------------------------------------------------------------------------


def picture(number: int, tokens: int = VISUAL_TOKENS) -> Picture:
    """A picture of one shade, for LLaVA 1.5."""
    pixels = torch.full((1, 3, 32, 32), number / 9)
    return Picture(5, 5 + tokens, number, {"pixel_values": pixels})


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = make_tiny_checkpoint(tmp_path_factory.mktemp("features") / "tiny")
    return load_checkpoint(folder, "32bit", "cpu")


def test_the_longest_unused_features_go_where_the_room_is_full(tiny: Checkpoint) -> None:
    size = FeatureCache(tiny.model, 0).features(picture(0)).nbytes
    cache = FeatureCache(tiny.model, 2 * size)
    for number in (1, 2, 1, 3, 1, 2):
        cache.features(picture(number))
    assert (cache.hits, cache.misses, cache.bytes) == (2, 4, 2 * size)


def test_forgotten_features_are_made_again(tiny: Checkpoint) -> None:
    cache = FeatureCache(tiny.model, 10**9)
    before = [cache.features(picture(number)) for number in (1, 2)]
    cache.forget(1)
    cache.forget(77)
    assert cache.bytes == before[0].nbytes
    assert torch.equal(cache.features(picture(1)), before[0]) and cache.misses == 3
    cache.forget()
    assert cache.bytes == 0


def test_another_number_of_visual_tokens_than_announced_is_refused(tiny: Checkpoint) -> None:
    with pytest.raises(RuntimeError, match=f"made {VISUAL_TOKENS} visual tokens .* announced 7"):
        FeatureCache(tiny.model, 10**9).features(picture(1, tokens=7))


# --- models that the decoder does not know --------------------------------------------------------


def reason(config: Any) -> str | None:
    """Why a LLaVA with this language model cannot be run."""
    model: Any = SimpleNamespace(config=LlavaConfig(text_config=config))
    return why_not(model)


def rope(kind: str, **more: Any) -> LlamaConfig:
    return LlamaConfig(rope_parameters={"rope_type": kind, "rope_theta": 10000.0, **more})


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (Gemma2Config(), "is a gemma2; the engine runs llama, mistral"),
        (PhiConfig(), "is a phi;"),
        (MistralConfig(sliding_window=4096), "sliding window"),
        (Qwen2Config(use_sliding_window=True, max_window_layers=2), "sliding window"),
        (Qwen3Config(use_sliding_window=True, max_window_layers=2), "sliding window"),
        (rope("dynamic", factor=2.0), "of type dynamic"),
    ],
    ids=lambda value: "" if isinstance(value, str) else value.model_type,
)
def test_what_cannot_be_run_is_named(config: Any, named: str) -> None:
    assert named in str(reason(config))


@pytest.mark.parametrize(
    "config",
    [
        LlamaConfig(),
        MistralConfig(sliding_window=None),
        Qwen2Config(sliding_window=4096, use_sliding_window=False),
        Qwen3Config(),
        rope("linear", factor=2.0),
        rope("yarn", factor=2.0, original_max_position_embeddings=2048),
    ],
    ids=lambda value: value.model_type,
)
def test_what_can_be_run_has_no_reason_against_it(config: Any) -> None:
    assert reason(config) is None


def test_the_whole_family_can_be_run(member: Checkpoint) -> None:
    assert why_not(member.model) is None
