"""The language model of a LLaVA as the engine runs it: rows of many requests in one pass.

Llama, Mistral, Qwen2 and Qwen3 are one architecture with small differences: normalised input,
rotary positions, grouped key heads, a gated feed-forward part (https://arxiv.org/abs/2302.13971).
The weights are the model's own; what is ours is the order of the operations, without the parts
that only training needs, and with neighbouring products joined.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import rms_norm
from transformers import PreTrainedModel
from transformers.activations import ACT2FN

from llava_core.engine.linear import (
    Product,
    head_product,
    is_bitsandbytes_int8,
    product_of,
)
from llava_core.model import FAMILY

LANGUAGES = ("llama", "mistral", "qwen2", "qwen3")
ROPES = ("default", "linear", "llama3", "yarn")


class Attention(Protocol):
    """Keeps a layer's new keys and values, and lets the new queries look at all of theirs."""

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """query (rows, heads, width), key and value (rows, key heads, width) -> like query."""


Turn = tuple[Tensor, Tensor]
"""Cosine and sine of the rows' positions, both (rows, 1, width); see :func:`turned`."""


@dataclass(frozen=True)
class Shape:
    """What a cache of keys and values has to know."""

    layers: int
    heads: int
    key_heads: int
    width: int


@dataclass(frozen=True)
class _Norm:
    weight: Tensor
    epsilon: float

    @classmethod
    def of(cls, module: Any) -> _Norm:
        weight = module.weight.detach()
        if weight.device.type == "cpu" and weight.dtype.itemsize == 2:
            weight = weight.float()  # once, not at every step: it is multiplied in 32 bits
        return cls(weight, float(module.variance_epsilon))

    def __call__(self, rows: Tensor) -> Tensor:
        if rows.device.type != "cpu":
            return rms_norm(rows, self.weight.shape, self.weight, self.epsilon)
        # PyTorch's has no kernel of its own on CPUs: fewer passes over many rows.
        wide = rows.float() if rows.dtype.itemsize == 2 else rows
        scale = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
        scale.square_().div_(rows.shape[-1]).add_(self.epsilon).rsqrt_()
        normed = torch.mul(wide, scale) if wide is rows else wide.mul_(scale)
        return normed.mul_(self.weight).to(rows.dtype)


@dataclass(frozen=True)
class _Layer:
    before_attention: _Norm
    query_key_value: Product
    query_norm: _Norm | None
    key_norm: _Norm | None
    attention_output: Product
    before_feed_forward: _Norm
    gate_up: Product
    down: Product

    @classmethod
    def of(cls, layer: Any) -> _Layer:
        attention, feed_forward = layer.self_attn, layer.mlp
        return cls(
            before_attention=_Norm.of(layer.input_layernorm),
            query_key_value=product_of([attention.q_proj, attention.k_proj, attention.v_proj]),
            query_norm=_Norm.of(attention.q_norm) if hasattr(attention, "q_norm") else None,
            key_norm=_Norm.of(attention.k_norm) if hasattr(attention, "k_norm") else None,
            attention_output=product_of([attention.o_proj]),
            before_feed_forward=_Norm.of(layer.post_attention_layernorm),
            gate_up=product_of([feed_forward.gate_proj, feed_forward.up_proj]),
            down=product_of([feed_forward.down_proj]),
        )


class Decoder:
    """A language model that runs rows of many requests; takes the weights over from the model.

    ``shape`` is what its keys and values look like.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        text: Any = language_model_of(model)
        config = text.config
        self.shape = Shape(
            layers=int(config.num_hidden_layers),
            heads=int(config.num_attention_heads),
            key_heads=int(config.num_key_value_heads),
            width=int(text.layers[0].self_attn.head_dim),
        )
        self._embeddings: nn.Module = text.embed_tokens
        self._rotary: nn.Module = text.rotary_emb
        self._activation: Callable[[Tensor], Tensor] = ACT2FN[config.hidden_act]
        head: nn.Module = model.get_output_embeddings()  # type: ignore[no-untyped-call]
        eight_bit = is_bitsandbytes_int8(text.layers[0].self_attn.q_proj)
        self._head = head_product(head, text.embed_tokens, eight_bit)
        self._norm = _Norm.of(text.norm)
        self._layers = [_Layer.of(layer) for layer in text.layers]

    def embed(self, ids: Tensor) -> Tensor:
        """Embeddings (rows, hidden) of token ids (rows,)."""
        embedded: Tensor = self._embeddings(ids)
        return embedded

    def __call__(self, embedded: Tensor, positions: Tensor, attention: Attention) -> Tensor:
        """Hidden states (rows, hidden) before the last norm.

        embedded (rows, hidden), positions (rows,): each row's place in its own request.
        """
        cosine, sine = self._rotary(embedded, positions[None])
        half = sine.shape[-1] // 2
        signed = torch.cat([-sine[..., :half], sine[..., half:]], -1)
        turn = cosine[0, :, None], signed[0, :, None]
        rows = embedded
        for index, layer in enumerate(self._layers):
            rows = rows + self._attend(layer, index, layer.before_attention(rows), turn, attention)
            gate, up = layer.gate_up(layer.before_feed_forward(rows)).chunk(2, -1)
            rows = rows + layer.down(self._activation(gate) * up)
        return rows

    def logits(self, rows: Tensor) -> Tensor:
        """Logits (rows, vocabulary) of hidden states (rows, hidden)."""
        return self._head(self._norm(rows))

    def _attend(
        self, layer: _Layer, index: int, rows: Tensor, turn: Turn, attend: Attention
    ) -> Tensor:
        shape = self.shape
        joined = layer.query_key_value(rows).view(len(rows), -1, shape.width)
        query_key = joined[:, : shape.heads + shape.key_heads]
        value = joined[:, shape.heads + shape.key_heads :]
        if layer.query_norm and layer.key_norm:
            query = layer.query_norm(query_key[:, : shape.heads])
            query_key = torch.cat([query, layer.key_norm(query_key[:, shape.heads :])], 1)
        query_key = turned(query_key, *turn)
        query, key = query_key[:, : shape.heads], query_key[:, shape.heads :]
        return layer.attention_output(attend(index, query, key, value).flatten(1))


def turned(heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary positions: (rows, heads, width), with cosine and sine (rows, 1, width).

    The first half of ``sine`` is negative, which saves a negation for each layer
    (https://arxiv.org/abs/2104.09864).
    """
    return torch.addcmul(heads * cosine, heads.roll(heads.shape[-1] // 2, -1), sine)


def language_model_of(model: PreTrainedModel) -> nn.Module:
    """The layers between embeddings and head."""
    inner: Any = model.model
    found: nn.Module = inner.language_model
    return found


def tower_and_projector(model: PreTrainedModel) -> nn.ModuleList:
    """What looks at pictures."""
    inner: Any = model.model
    return nn.ModuleList([inner.vision_tower, inner.multi_modal_projector])


def why_not(model: PreTrainedModel) -> str | None:
    """Why the engine cannot run a model; None where it can."""
    whole = model.config.model_type
    if whole not in FAMILY:
        return f"its architecture is {whole}; the engine runs {', '.join(FAMILY)}"
    config: Any = model.config.get_text_config()
    kind = config.model_type
    if kind not in LANGUAGES:
        return f"its language model is a {kind}; the engine runs {', '.join(LANGUAGES)}"
    types = getattr(config, "layer_types", None) or ()
    if any(each != "full_attention" for each in types) or _slides(config):
        return "its language model attends through a sliding window"
    rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    return None if rope in ROPES else f"its rotary positions are of type {rope}"


def _slides(config: Any) -> bool:
    if not getattr(config, "use_sliding_window", True):
        return False
    return getattr(config, "sliding_window", None) is not None
