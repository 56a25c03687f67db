"""A tiny LLaVA in memory, made of a vision tower's folder and a tiny language model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from llava_core.assembling import (
    Projector,
    add_image_token,
    assemble,
    build_processor,
)
from llava_core.towers import Tower, load_tower
from tests.tiny_checkpoint import CONTEXT, make_tokenizer

ANSWER = "The star is red.</s>"


def language(kind: str, vocabulary: int, context: int = CONTEXT) -> Any:
    torch.manual_seed(2)
    shape: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": context,
        "initializer_range": 0.3,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    if kind == "llama":
        return LlamaForCausalLM(LlamaConfig(**shape))
    return Qwen3ForCausalLM(Qwen3Config(head_dim=32, **shape))


@dataclass(frozen=True)
class Joined:
    """A LLaVA in memory, as training holds it."""

    model: LlavaForConditionalGeneration
    processor: LlavaProcessor
    tokenizer: PreTrainedTokenizerFast
    tower: Tower

    def batch(self) -> dict[str, Tensor]:
        """One picture with a question and its answer; all tokens are learnt."""
        text = f"USER: <image>\nWhat is it? ASSISTANT: {ANSWER}"
        picture = Image.new("RGB", (50, 30), "red")
        made: Any = self.processor(images=[picture], text=text, return_tensors="pt")
        ids = made["input_ids"]
        labels = torch.where(ids == self.model.config.image_token_id, -100, ids)
        return {"input_ids": ids, "pixel_values": made["pixel_values"], "labels": labels}

    def train(self, steps: int = 3, rate: float = 1e-3) -> list[float]:
        """Losses of ``steps`` steps on one batch."""
        batch = self.batch()
        learnt = [p for p in self.model.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(learnt, lr=rate)
        losses = []
        for _ in range(steps):
            loss = self.model(**batch).loss
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        return losses

    def save(self, folder: Path) -> Path:
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)
        return folder


def join(
    folder: Path,
    projector: Projector = "mlp2x_gelu",
    kind: str = "llama",
    layer: int | list[int] = -2,
    image_size: int | None = None,
) -> Joined:
    tower = load_tower(folder, image_size=image_size)
    tokenizer = make_tokenizer()
    text = language(kind, len(tokenizer))
    image_id = add_image_token(tokenizer, text)
    torch.manual_seed(3)
    model = assemble(
        tower, text, projector=projector, image_token_id=image_id, vision_feature_layer=layer
    )
    model.train(False)
    return Joined(model, build_processor(tower, tokenizer), tokenizer, tower)
