"""Tiny checkpoints of image-text models that are no LLaVAs: random weights, real files."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    GemmaConfig,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3Processor,
    LlamaConfig,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PaliGemmaProcessor,
    PreTrainedTokenizerFast,
    SiglipVisionConfig,
)
from transformers.models.idefics3.configuration_idefics3 import Idefics3VisionConfig
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from tests.tiny_checkpoint import CONTEXT, PATCH, PIXELS, make_tokenizer

TEMPLATE = (
    "{%- for message in messages -%}{{ message['role'] + ':' }}"
    "{%- if message['content'] is string -%}{{ message['content'] }}{%- else -%}"
    "{%- for part in message['content'] -%}"
    "{{ '<image>' if part['type'] == 'image' else part['text'] }}"
    "{%- endfor -%}{%- endif -%}{{ '\\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ 'assistant:' }}{%- endif -%}"
)
TEXT = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,
}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": PIXELS,
    "patch_size": PATCH,
}


def make_idefics3(folder: Path) -> Path:
    """Cuts a picture into pieces, each with tokens of its own around it; its text part is a Llama,
    which the engine runs in a LLaVA (https://arxiv.org/abs/2408.12637)."""
    tokenizer = make_tokenizer()
    places = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    tokenizer.add_tokens(["<fake_token_around_image>", "<global-img>", *places])
    images = Idefics3ImageProcessorPil(
        size={"longest_edge": 2 * PIXELS}, max_image_size={"longest_edge": PIXELS}
    )
    processor = Idefics3Processor(images, tokenizer, image_seq_len=4, chat_template=TEMPLATE)
    torch.manual_seed(0)
    config = Idefics3Config(
        text_config=LlamaConfig(**_text(tokenizer)).to_dict(),
        vision_config=Idefics3VisionConfig(**VISION).to_dict(),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
    )
    return _saved(Idefics3ForConditionalGeneration(config), processor, folder)


def make_paligemma(folder: Path) -> Path:
    """Looks at its whole prompt at once, and takes no question without a picture
    (https://arxiv.org/abs/2407.07726)."""
    tokenizer = make_tokenizer()
    images = SiglipImageProcessorPil(size={"height": PIXELS, "width": PIXELS})
    images.image_seq_length = (PIXELS // PATCH) ** 2
    processor = PaliGemmaProcessor(images, tokenizer, chat_template=TEMPLATE)
    torch.manual_seed(0)
    config = PaliGemmaConfig(
        text_config=GemmaConfig(head_dim=32, **_text(tokenizer)).to_dict(),
        vision_config=SiglipVisionConfig(**VISION).to_dict(),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        projection_dim=64,
        hidden_size=64,
    )
    return _saved(PaliGemmaForConditionalGeneration(config), processor, folder)


def _text(tokenizer: PreTrainedTokenizerFast) -> dict[str, object]:
    names = {"pad": tokenizer.pad_token_id, "bos": tokenizer.bos_token_id}
    names["eos"] = tokenizer.eos_token_id
    ids = {f"{name}_token_id": number for name, number in names.items()}
    return {**TEXT, **ids, "vocab_size": len(tokenizer), "max_position_embeddings": CONTEXT}


def _saved(model, processor, folder: Path) -> Path:  # type: ignore[no-untyped-def]
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
