"""A LLaVA checkpoint in transformers format, made in a moment: random weights, real files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from llava_core.assembling import Projector, assemble
from llava_core.templates import NAMED_TEMPLATES

PIXELS, PATCH = 32, 8
VISUAL_TOKENS = (PIXELS // PATCH) ** 2
CONTEXT = 256
SPECIAL = ["<pad>", "<s>", "</s>", "<image>", "USER:", "ASSISTANT:"]
TEXTS = ["What colour is the star?", "The star is red.", "Describe the picture.", "Where is it?"]


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE of about 300 entries with LLaVA v1's template."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(TEXTS, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        additional_special_tokens=["<image>", "USER:", "ASSISTANT:"],
        clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT,
    )
    tokenizer.chat_template = NAMED_TEMPLATES["vicuna_v1"]
    return tokenizer


def make_processor(tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    """Pillow's CLIP image processor at 32 pixels, and the tokenizer."""
    size = {"height": PIXELS, "width": PIXELS}
    images = CLIPImageProcessorPil(size=size, crop_size=size, do_center_crop=False)
    return LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=tokenizer.chat_template,
        image_token="<image>",
    )


def make_model(
    tokenizer: PreTrainedTokenizerFast,
    seed: int = 0,
    language: str = "llama",
    projector: Projector = "mlp2x_gelu",
) -> LlavaForConditionalGeneration:
    """About 130,000 random parameters; weights large enough that answers differ."""
    torch.manual_seed(seed)
    tower = CLIPVisionModel(
        CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=PIXELS,
            patch_size=PATCH,
        )
    )
    shape = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT,
        "initializer_range": 0.3,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    model = assemble(
        tower,
        make_language(language, **shape),
        projector=projector,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=VISUAL_TOKENS,
    )
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def make_language(language: str, **shape: Any) -> PreTrainedModel:
    """A language model of one of the kinds that LLaVA checkpoints have."""
    if language == "mistral":
        heads = {"num_attention_heads": 4, "num_key_value_heads": 2}  # they share keys and values
        return MistralForCausalLM(MistralConfig(sliding_window=None, **shape | heads))
    if language == "qwen2":
        model = Qwen2ForCausalLM(Qwen2Config(**shape))
        for layer in model.model.layers:  # its biases start as zero, and no test would miss them
            for part in (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj):
                torch.nn.init.normal_(part.bias, std=0.3)
        return model
    if language == "qwen3":
        return Qwen3ForCausalLM(Qwen3Config(head_dim=32, **shape))
    return LlamaForCausalLM(LlamaConfig(**shape))


def make_tiny_checkpoint(
    folder: Path, seed: int = 0, language: str = "llama", projector: Projector = "mlp2x_gelu"
) -> Path:
    """Write the checkpoint into ``folder`` and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer()
    make_model(tokenizer, seed, language, projector).save_pretrained(folder)
    make_processor(tokenizer).save_pretrained(folder)
    return folder


def make_endless_checkpoint(folder: Path) -> Path:
    """One whose answers do not end by themselves: special tokens are as good as never drawn."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer()
    tokenizer.model_max_length = 8192
    model = make_model(tokenizer)
    model.config.text_config.max_position_embeddings = 8192
    model.generation_config.eos_token_id = tokenizer.pad_token_id
    with torch.no_grad():
        model.lm_head.weight[: len(SPECIAL)] = 0
    model.save_pretrained(folder)
    make_processor(tokenizer).save_pretrained(folder)
    return folder
