"""LLaVA 1.5, LLaVA-NeXT and LLaVA-OneVision: their own token counts, ids and answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextProcessor,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    Qwen2Config,
    SiglipVisionConfig,
)
from transformers.models.llava_next.image_processing_pil_llava_next import (
    LlavaNextImageProcessorPil,
)
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
    LlavaOnevisionImageProcessorPil,
)

from llava_core.conversation import Conversation, assistant, user
from llava_core.engine.generate import generate
from llava_core.engine.sampling import SamplingParams
from llava_core.loading import load_checkpoint
from llava_core.model import Checkpoint
from tests.tiny_checkpoint import PATCH, PIXELS, make_tiny_checkpoint, make_tokenizer

WIDE, TALL = Image.new("RGB", (100, 30), "blue"), Image.new("RGB", (20, 60), "red")
TILES = [[32, 64], [64, 32], [64, 64]]
TALKS = [
    Conversation((user("What?", TALL),)),
    Conversation((user("What?", TALL, WIDE), assistant("A star."), user("Here?", TALL))),
    Conversation((user("What?"),)),
]


def tower(kind: type[Any], **more: Any) -> Any:
    return kind(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=PIXELS,
        patch_size=PATCH,
        **more,
    )


def text(kind: type[Any]) -> Any:
    return kind(
        vocab_size=len(make_tokenizer()),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.3,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )


def make_next(folder: Path) -> Path:
    """LLaVA-NeXT: a picture becomes tiles and a small whole."""
    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    config = LlavaNextConfig(
        vision_config=tower(CLIPVisionConfig),
        text_config=text(LlamaConfig),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=TILES,
    )
    LlavaNextForConditionalGeneration(config).save_pretrained(folder)
    size = {"height": PIXELS, "width": PIXELS}
    images = LlavaNextImageProcessorPil(
        size={"shortest_edge": PIXELS}, crop_size=size, image_grid_pinpoints=TILES
    )
    LlavaNextProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=tokenizer.chat_template,
        image_token="<image>",
    ).save_pretrained(folder)
    return folder


def make_onevision(folder: Path) -> Path:
    """LLaVA-OneVision with its files as published, settings for videos among them."""
    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    config = LlavaOnevisionConfig(
        vision_config=tower(SiglipVisionConfig, vision_use_head=False),
        text_config=text(Qwen2Config),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=TILES,
    )
    LlavaOnevisionForConditionalGeneration(config).save_pretrained(folder)
    size = {"height": PIXELS, "width": PIXELS}
    LlavaOnevisionImageProcessorPil(size=size, image_grid_pinpoints=TILES).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    settings = {
        "processor_class": "LlavaOnevisionProcessor",
        "num_image_tokens": (PIXELS // PATCH) ** 2,
        "vision_feature_select_strategy": "full",
        "vision_aspect_ratio": "anyres_max_9",
        "image_token": "<image>",
        "video_token": "<video>",
    }
    (folder / "processor_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(
    scope="module",
    params=[make_tiny_checkpoint, make_next, make_onevision],
    ids=lambda f: f.__name__,
)
def member(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """One of the family, saved and loaded."""
    make: Callable[[Path], Path] = request.param
    return load_checkpoint(make(tmp_path_factory.mktemp("family") / "model"), "32bit", "cpu")


@pytest.mark.parametrize("talk", TALKS)
def test_it_answers_as_in_transformers(member: Checkpoint, talk: Conversation) -> None:
    inputs = member.prepare(talk)
    theirs = member.model.generate(  # type: ignore[operator]
        input_ids=inputs.input_ids, **inputs.pictures, max_new_tokens=12, do_sample=False
    )[0, inputs.prompt_tokens :].tolist()
    pieces = generate(member, talk, SamplingParams(max_tokens=12))
    assert [piece.token_id for piece in pieces] == theirs


@pytest.mark.parametrize("talk", TALKS[:2])
def test_ids_are_those_of_the_checkpoints_own_processor(
    member: Checkpoint, talk: Conversation
) -> None:
    prompt = member.renderer.render(talk, generation_prompt=True).text
    theirs = member.processor(
        images=list(talk.images), text=prompt, add_special_tokens=False, return_tensors="pt"
    )
    ours = member.prepare(talk)
    assert torch.equal(theirs["input_ids"], ours.input_ids)
    assert torch.equal(theirs["pixel_values"], ours.pictures["pixel_values"])
