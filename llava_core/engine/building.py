"""What an engine is built of: how much memory it takes, and the cache that suits the device."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from llava_core.devices import free_memory, native_bfloat16
from llava_core.engine.blocks import BlockPool
from llava_core.engine.decoder import Decoder, tower_and_projector
from llava_core.engine.features import FeatureCache
from llava_core.engine.keys_values import KeysValues
from llava_core.engine.linear import pack_linears
from llava_core.engine.paged import PAGE, PagedKeysValues
from llava_core.engine.replay import Replay
from llava_core.engine.runner import Runner
from llava_core.engine.scheduler import Limits
from llava_core.model import Checkpoint

BLOCK = 16
"""Tokens of a block, where attention reads runs of blocks."""
CONTEXTS = 4
"""For so many full contexts of each request in work there is room at most: more is never used."""


@dataclass(frozen=True)
class Memory:
    """Bytes for keys and values, and for features of pictures."""

    keys_values: int
    features: int

    @classmethod
    def shared_out(cls, total: int) -> Memory:
        """A tenth for features, the rest for keys and values."""
        return cls(keys_values=total - total // 10, features=total // 10)


@dataclass(frozen=True)
class Built:
    """The parts of an engine; ``cache_bytes`` is what keys and values take in all ``layers``."""

    runner: Runner
    pool: BlockPool
    features: FeatureCache
    cache_bytes: int
    layers: int


def default_limits(device: torch.device) -> Limits:
    """What a device can do beside running answers without stalling them."""
    if device.type == "cpu":
        quick = native_bfloat16(device)
        return Limits(running=8, rows_alone=512, rows_beside=128 if quick else 64)
    return Limits(running=32, rows_alone=2048, rows_beside=512)


def default_memory(device: torch.device) -> Memory:
    """A quarter of a CPU's free memory, at most 4 GB, or most of a GPU's that is left."""
    share, most = (0.25, 4e9) if device.type == "cpu" else (0.8, 64e9)
    return Memory.shared_out(int(min(free_memory(device) * share, most)))


def build(checkpoint: Checkpoint, limits: Limits, memory: Memory, paged: bool | None) -> Built:
    """Take the model's weights over; ``paged`` None: pages where fused attention reads them."""
    decoder = Decoder(checkpoint.model)
    pack_linears(tower_and_projector(checkpoint.model))
    features = FeatureCache(checkpoint.model, memory.features)
    if has_fused_attention(checkpoint) if paged is None else paged:
        return _paged(checkpoint, limits, memory, decoder, features)
    return _in_runs(checkpoint, limits, memory, decoder, features)


def has_fused_attention(checkpoint: Checkpoint) -> bool:
    """Whether the device has FlashAttention for the model's type of numbers."""
    sixteen = checkpoint.dtype in (torch.float16, torch.bfloat16)
    if checkpoint.device.type != "cuda" or not sixteen or torch.version.hip:
        return False
    return torch.cuda.get_device_capability(checkpoint.device) >= (8, 0)


def _in_runs(
    checkpoint: Checkpoint,
    limits: Limits,
    memory: Memory,
    decoder: Decoder,
    features: FeatureCache,
) -> Built:
    number, size = _number(checkpoint, limits, memory, decoder, BLOCK)
    device = checkpoint.device
    cache = KeysValues(decoder.shape, number, BLOCK, checkpoint.dtype, device)
    runner = Runner(decoder, features, cache, device)
    return Built(runner, BlockPool(number, BLOCK), features, number * size, decoder.shape.layers)


def _paged(
    checkpoint: Checkpoint,
    limits: Limits,
    memory: Memory,
    decoder: Decoder,
    features: FeatureCache,
) -> Built:
    """The last page belongs to nobody: rows of recorded steps write there that are too many."""
    number, size = _number(checkpoint, limits, memory, decoder, PAGE)
    device = checkpoint.device
    cache = PagedKeysValues(decoder.shape, number + 1, PAGE, checkpoint.dtype, device)
    replay = Replay(decoder, cache, number, limits.running, checkpoint.context_length)
    runner = Runner(decoder, features, cache, device, replay)
    pool = BlockPool(number, PAGE, extent=0)
    return Built(runner, pool, features, (number + 1) * size, decoder.shape.layers)


def _number(
    checkpoint: Checkpoint, limits: Limits, memory: Memory, decoder: Decoder, tokens: int
) -> tuple[int, int]:
    """Blocks of ``tokens`` tokens that there is memory and use for, and the bytes of one."""
    size = KeysValues.bytes_of_block(decoder.shape, tokens, checkpoint.dtype)
    useful = -(-CONTEXTS * limits.running * checkpoint.context_length // tokens)
    return max(min(memory.keys_values // size, useful), 1), size
