"""The checkpoint that the engine's benchmark serves: a LLaVA of 0.33 billion random parameters.

Speed does not depend on what the weights say, so nothing is downloaded. The head's rows are zero
for everything but whole words: an answer never ends early, each of its tokens is a word that can be
shown at once, and reading the answer back gives the same tokens.
"""

from __future__ import annotations

import shutil
from itertools import product
from pathlib import Path

PIXELS, PATCH = 224, 16
VISUAL_TOKENS = (PIXELS // PATCH) ** 2
CONTEXT = 4096
VOCABULARY = 32_000
SPECIAL = ("<pad>", "<s>", "</s>", "<image>", "USER:", "ASSISTANT:")
VERSION = "1"
"""Counts up when the checkpoint changes, so that an older one is made anew."""

LANGUAGE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 1024,
    "intermediate_size": 2816,
    "num_hidden_layers": 20,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "max_position_embeddings": CONTEXT,
    "tie_word_embeddings": False,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
TOWER = {
    "hidden_size": 384,
    "intermediate_size": 1536,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "image_size": PIXELS,
    "patch_size": PATCH,
}


def syllables() -> list[str]:
    """A consonant and a vowel each."""
    return ["".join(pair) for pair in product("bcdfghjklmnpqrstvwxz", "aeiouy")]


def words() -> list[str]:
    """Words of two syllables; with the space before it, each is one token."""
    return ["".join(pair) for pair in product(syllables(), repeat=2)]


def parameters_per_step() -> int:
    """Parameters that one step of decoding reads: the layers and the head."""
    width, inner = int(LANGUAGE["hidden_size"]), int(LANGUAGE["intermediate_size"])
    layer = 4 * width * width + 3 * width * inner
    return int(LANGUAGE["num_hidden_layers"]) * layer + VOCABULARY * width


def vocabulary() -> tuple[list[str], list[tuple[str, str]]]:
    """Tokens in the order of their ids, and the merges that make the words of them."""
    from tokenizers import pre_tokenizers

    parts = syllables()
    merges = [(part[0], part[1]) for part in parts]
    merges += [(left, right) for left, right in product(parts, repeat=2)]
    merges += [("Ġ", word) for word in words()]
    tokens = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokens += [left + right for left, right in merges]
    tokens += [f"<unused{number}>" for number in range(VOCABULARY - len(tokens))]
    return tokens, merges


def make_checkpoint(folder: Path) -> Path:
    """Write the checkpoint into ``folder``, unless it is there already."""
    done = folder / "complete"
    if done.exists() and done.read_text() == VERSION:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _write(folder)
    done.write_text(VERSION)
    return folder


def _write(folder: Path) -> None:
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import (
        CLIPVisionConfig,
        CLIPVisionModel,
        LlamaConfig,
        LlamaForCausalLM,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    from llava_core.assembling import assemble
    from llava_core.templates import NAMED_TEMPLATES

    tokens, merges = vocabulary()
    ids = {token: index for index, token in enumerate(tokens)}
    bpe = Tokenizer(models.BPE(vocab=ids, merges=merges))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=bpe,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        additional_special_tokens=["<image>", "USER:", "ASSISTANT:"],
        clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT,
    )
    tokenizer.chat_template = NAMED_TEMPLATES["vicuna_v1"]

    torch.manual_seed(0)
    language = LlamaForCausalLM(LlamaConfig(**LANGUAGE))  # type: ignore[arg-type]
    whole = torch.tensor([token[0] == "Ġ" and len(token) == 5 for token in tokens])
    with torch.no_grad():
        language.lm_head.weight[~whole] = 0.0
    model = assemble(
        CLIPVisionModel(CLIPVisionConfig(**TOWER)),  # type: ignore[arg-type]
        language,
        projector="mlp2x_gelu",
        image_token_id=SPECIAL.index("<image>"),
        image_seq_length=VISUAL_TOKENS,
    )
    model.generation_config.do_sample = False
    model.save_pretrained(folder)
    size = {"height": PIXELS, "width": PIXELS}
    LlavaProcessor(  # type: ignore[no-untyped-call]
        image_processor=CLIPImageProcessorPil(size=size, crop_size=size, do_center_crop=False),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=tokenizer.chat_template,
        image_token="<image>",
    ).save_pretrained(folder)
