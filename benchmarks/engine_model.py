"""The checkpoints that the engine's benchmarks serve: LLaVAs of random parameters.

Speed does not depend on what the weights say, so nothing is downloaded. The head's rows are zero
for everything but whole words: an answer never ends early, each of its tokens is a word that can be
shown at once, and reading the answer back gives the same tokens.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

CONTEXT = 4096
SPECIAL = ("<pad>", "<s>", "</s>", "<image>", "USER:", "ASSISTANT:")
VERSION = "1"
"""Counts up when the checkpoint changes, so that an older one is made anew."""


@dataclass(frozen=True)
class Shape:
    """What a LLaVA is made of: width, inner width, layers and heads of the language model and of
    the tower; pixels of a picture's and of a patch's side. ``sixteen``: weights in 16 bits."""

    language: tuple[int, int, int, int]
    tower: tuple[int, int, int, int]
    pixels: int
    patch: int
    vocabulary: int
    sixteen: bool = False

    @property
    def visual_tokens(self) -> int:
        """Visual tokens of a picture."""
        return (self.pixels // self.patch) ** 2

    @property
    def parameters_per_step(self) -> int:
        """Parameters that one step of decoding reads: the layers and the head."""
        width, inner, layers, _heads = self.language
        return layers * (4 * width * width + 3 * width * inner) + self.vocabulary * width

    def language_config(self) -> dict[str, Any]:
        """The language model's settings; every head has keys of its own."""
        width, inner, layers, heads = self.language
        return {
            "vocab_size": self.vocabulary,
            "hidden_size": width,
            "intermediate_size": inner,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": heads,
            "max_position_embeddings": CONTEXT,
            "tie_word_embeddings": False,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
        }

    def tower_config(self) -> dict[str, int]:
        """The vision tower's settings."""
        width, inner, layers, heads = self.tower
        return {
            "hidden_size": width,
            "intermediate_size": inner,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "image_size": self.pixels,
            "patch_size": self.patch,
        }


SMALL = Shape((1024, 2816, 20, 16), (384, 1536, 6, 6), 224, 16, 32_000)
"""0.33 billion parameters, for CPUs."""
SEVEN_BILLION = Shape((4096, 11008, 32, 32), (1024, 4096, 24, 16), 336, 14, 32_064, sixteen=True)
"""LLaVA-1.5-7B's (https://huggingface.co/llava-hf/llava-1.5-7b-hf)."""
TINY = Shape((64, 128, 2, 2), (32, 64, 2, 2), 32, 8, 29_200, sixteen=True)
"""To try a script out."""


def syllables() -> list[str]:
    """A consonant and a vowel each."""
    return ["".join(pair) for pair in product("bcdfghjklmnpqrstvwxz", "aeiouy")]


def words() -> list[str]:
    """Words of two syllables; with the space before it, each is one token."""
    return ["".join(pair) for pair in product(syllables(), repeat=2)]


def vocabulary(size: int) -> tuple[list[str], list[tuple[str, str]]]:
    """Tokens in the order of their ids, and the merges that make the words of them."""
    from tokenizers import pre_tokenizers

    parts = syllables()
    merges = [(part[0], part[1]) for part in parts]
    merges += [(left, right) for left, right in product(parts, repeat=2)]
    merges += [("Ġ", word) for word in words()]
    tokens = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokens += [left + right for left, right in merges]
    tokens += [f"<unused{number}>" for number in range(size - len(tokens))]
    return tokens, merges


def make_checkpoint(folder: Path, shape: Shape = SMALL, device: str = "cpu") -> Path:
    """Write the checkpoint into ``folder``, unless it is there already; ``device`` makes it."""
    done = folder / "complete"
    made = f"{VERSION} {shape}"
    if done.exists() and done.read_text() == made:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _write(folder, shape, device)
    done.write_text(made)
    return folder


def _write(folder: Path, shape: Shape, device: str) -> None:
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

    tokens, merges = vocabulary(shape.vocabulary)
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

    whole = torch.tensor([token[0] == "Ġ" and len(token) == 5 for token in tokens])
    usual = torch.get_default_dtype()
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16 if shape.sixteen else usual)
    try:
        with torch.device(device):
            language = LlamaForCausalLM(LlamaConfig(**shape.language_config()))
            with torch.no_grad():
                language.lm_head.weight[~whole.to(device)] = 0.0
            model = assemble(
                CLIPVisionModel(CLIPVisionConfig(**shape.tower_config())),  # type: ignore[arg-type]
                language,
                projector="mlp2x_gelu",
                image_token_id=SPECIAL.index("<image>"),
                image_seq_length=shape.visual_tokens,
            )
    finally:
        torch.set_default_dtype(usual)
    model.generation_config.do_sample = False
    model.save_pretrained(folder)
    size = {"height": shape.pixels, "width": shape.pixels}
    LlavaProcessor(  # type: ignore[no-untyped-call]
        image_processor=CLIPImageProcessorPil(size=size, crop_size=size, do_center_crop=False),
        tokenizer=tokenizer,
        patch_size=shape.patch,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=tokenizer.chat_template,
        image_token="<image>",
    ).save_pretrained(folder)
