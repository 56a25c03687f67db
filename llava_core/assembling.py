"""Joining a vision tower, a projector and a language model into a LLaVA, and what trains when.

Vision tower -> Z_v -> projection W -> H_v -> language model: Visual Instruction Tuning, section
4.1. The classes are transformers' own, so that every tool that reads LLaVA reads ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import nn
from transformers import (
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from llava_core.errors import CheckpointError
from llava_core.templates import NAMED_TEMPLATES
from llava_core.towers import Strategy, Tower

Projector = Literal["linear", "mlp2x_gelu"]
IMAGE_TOKEN = "<image>"
_END_TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id")


def assemble(
    tower: Tower | PreTrainedModel,
    language: PreTrainedModel,
    *,
    projector: Projector = "linear",
    image_token_id: int,
    vision_feature_layer: int | Sequence[int] = -2,
    image_seq_length: int = 576,
) -> LlavaForConditionalGeneration:
    """One model from parts; the projector's weights are random, the others are copied.

    ``projector`` "linear" is the paper's W: transformers' two layers with no activation between,
    the second fixed to the identity. "mlp2x_gelu" is v1.5's. Several ``vision_feature_layer`` are
    laid side by side, and the projector is as much wider. ``image_seq_length`` is the number of
    visual tokens of one picture; a :class:`Tower` knows it, and a bare CLIP does not. Raises
    :class:`CheckpointError` for parts that do not fit.
    """
    strategy: Strategy = "default"
    if isinstance(tower, Tower):
        tower.check_layers(vision_feature_layer)
        strategy, image_seq_length = tower.select_strategy, tower.visual_tokens
        tower = tower.model
    _check_room(image_seq_length, language)
    layers = vision_feature_layer
    config = LlavaConfig(
        vision_config=tower.config,
        text_config=language.config,
        image_token_index=image_token_id,
        image_seq_length=image_seq_length,
        projector_hidden_act="linear" if projector == "linear" else "gelu",
        vision_feature_select_strategy=strategy,
        vision_feature_layer=layers if isinstance(layers, int) else list(layers),
        tie_word_embeddings=bool(language.config.tie_word_embeddings),
    )
    model = LlavaForConditionalGeneration(config)
    _copy_weights(model, tower, language)
    if projector == "linear":
        _fix_identity(model.model.multi_modal_projector)
    return model


def _check_room(visual_tokens: int, language: PreTrainedModel) -> None:
    room = int(getattr(language.config, "max_position_embeddings", 0) or 0)
    if room and visual_tokens >= room:
        raise CheckpointError(
            f"one picture takes {visual_tokens} visual tokens, and the language model has room "
            f"for {room} tokens",
            "Load the tower with a smaller image_size, or take a language model with more context.",
        )


def _copy_weights(
    model: LlavaForConditionalGeneration, tower: PreTrainedModel, language: PreTrainedModel
) -> None:
    """The parts' weights, and what the language model says of its special tokens."""
    head = _head(language)
    if head is None or getattr(head, "bias", None) is not None:
        raise CheckpointError(
            f"{type(language).__name__} has no output layer without bias, as LLaVA's is",
            "Use a causal language model such as Llama, Mistral, Qwen2 or Qwen3.",
        )
    model.model.vision_tower.load_state_dict(tower.state_dict())
    model.model.language_model.load_state_dict(language.base_model.state_dict())
    model.lm_head.load_state_dict(head.state_dict())
    model.tie_weights()
    for name in _END_TOKENS:
        if (value := getattr(language.generation_config, name, None)) is not None:
            setattr(model.generation_config, name, value)


def _fix_identity(projector: nn.Module) -> None:
    second = projector.get_submodule("linear_2")
    assert isinstance(second, nn.Linear)
    with torch.no_grad():
        nn.init.eye_(second.weight)
        if second.bias is not None:
            second.bias.zero_()


def freeze_for_stage(
    model: LlavaForConditionalGeneration, stage: Literal[1, 2], train_tower: bool = False
) -> None:
    """Set what trains: stage 1 the projector; stage 2 projector and language model.

    The vision tower is frozen in both unless ``train_tower``. The identity of a linear projector
    is always frozen.
    """
    model.requires_grad_(False)
    projector = model.model.multi_modal_projector
    projector.requires_grad_(True)
    if model.config.projector_hidden_act == "linear":
        projector.linear_2.requires_grad_(False)
    if stage == 2:
        model.model.language_model.requires_grad_(True)
        model.lm_head.requires_grad_(True)
    if train_tower:
        model.model.vision_tower.requires_grad_(True)


def add_image_token(tokenizer: PreTrainedTokenizerBase, language: PreTrainedModel) -> int:
    """The id of ``<image>``, which the tokenizer learns where it does not know it.

    Embeddings and output layer of ``language`` grow with it where they are too few; new rows are
    the mean of the others. Call it before :func:`assemble`.
    """
    if IMAGE_TOKEN not in tokenizer.get_vocab():
        extend: Any = tokenizer.add_tokens
        extend([IMAGE_TOKEN], special_tokens=True)
    rows = len(_embeddings(language).weight)
    if len(tokenizer) > rows:
        resize: Any = language.resize_token_embeddings
        resize(len(tokenizer), mean_resizing=False)
        for part in (_embeddings(language), _head(language)):
            if part is not None:
                _fill_with_mean(part.weight, rows)
    found: Any = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    return int(found)


def _embeddings(language: Any) -> Any:
    return language.get_input_embeddings()


def _head(language: Any) -> Any:
    return language.get_output_embeddings()


@torch.no_grad()
def _fill_with_mean(weight: torch.Tensor, old_rows: int) -> None:
    weight[old_rows:] = weight[:old_rows].float().mean(0).to(weight.dtype)


def build_processor(
    tower: Tower, tokenizer: PreTrainedTokenizerBase, *, template: str | None = None
) -> LlavaProcessor:
    """The processor to be saved beside the weights; it makes room for each visual token.

    ``template`` names one of :data:`llava_core.templates.NAMED_TEMPLATES`; without it the chat
    template is the tokenizer's own. Raises :class:`CheckpointError` where there is none, and where
    the tokenizer does not know ``<image>``.
    """
    if IMAGE_TOKEN not in tokenizer.get_vocab():
        raise CheckpointError(
            f"the tokenizer does not know {IMAGE_TOKEN}", "Call add_image_token before."
        )
    return LlavaProcessor(  # type: ignore[no-untyped-call]
        image_processor=tower.image_processor,
        tokenizer=tokenizer,
        patch_size=tower.patch_size,
        vision_feature_select_strategy=tower.select_strategy,
        num_additional_image_tokens=tower.leading_tokens,
        chat_template=_chat_template(tokenizer, template),
        image_token=IMAGE_TOKEN,
    )


def _chat_template(tokenizer: Any, template: str | None) -> str:
    if template is not None and template not in NAMED_TEMPLATES:
        raise CheckpointError(
            f"there is no chat template {template!r}", f"Use one of {', '.join(NAMED_TEMPLATES)}."
        )
    own = tokenizer.chat_template
    own = own.get("default") if isinstance(own, dict) else own
    chosen = NAMED_TEMPLATES[template] if template else own
    if not chosen:
        raise CheckpointError(
            "the tokenizer brings no chat template",
            f"Name one with template: {', '.join(NAMED_TEMPLATES)}.",
        )
    return str(chosen)
