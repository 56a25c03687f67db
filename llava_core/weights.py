"""The weight files of a checkpoint, read by their headers: nothing is loaded."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from llava_core.errors import CheckpointError

INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class Weights:
    """The weight files of a checkpoint and the number of parameters in them."""

    files: tuple[Path, ...]
    parameters: int


def inspect_weights(folder: Path) -> Weights:
    """Find the weight files and count their parameters.

    Raises :class:`CheckpointError` for pickled weights, damaged or missing files, and checkpoints
    in the original LLaVA format, which transformers would read as a model with random weights.
    """
    if not (folder / "config.json").is_file():
        raise CheckpointError(
            f"{folder} has no config.json",
            "Give the folder of a checkpoint in transformers format.",
        )
    files = _files(folder)
    if not files:
        raise CheckpointError(
            f"{folder} has no safetensors weights",
            "Pickled weights (.bin, .pt) can run code and are refused: convert them, for example "
            "with save_pretrained.",
        )
    return Weights(files, sum(_parameters(path) for path in files))


def revision_of(folder: Path, weights: Weights) -> str:
    """The hub's commit, or 16 digits of a SHA-256 over the weight files."""
    if folder.parent.name == "snapshots":
        return folder.name
    digest = hashlib.sha256()
    for path in weights.files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def _files(folder: Path) -> tuple[Path, ...]:
    """The files that the index names, or else all: some folders hold a second copy."""
    index = folder / INDEX
    if not index.is_file():
        return tuple(sorted(folder.glob("*.safetensors")))
    try:
        named = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise CheckpointError(
            f"{index.name} is damaged", "Copy or download the checkpoint again."
        ) from error
    missing = [name for name in named if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(
            f"{len(missing)} of {len(named)} weight files are missing, such as {missing[0]}",
            "Copy or download the checkpoint again.",
        )
    return tuple(folder / name for name in named)


def _parameters(path: Path) -> int:
    """The number of parameters in one file."""
    try:
        with safe_open(path, "pt") as file:
            names = list(file.keys())
            sizes = [file.get_slice(name).get_shape() for name in names]
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path.name} is damaged: {error}", "Copy or download the checkpoint again."
        ) from error
    if any("mm_projector" in name for name in names):
        raise CheckpointError(
            f"{path.parent.name} is in the original LLaVA format, not in that of transformers",
            "Use the converted one from https://huggingface.co/llava-hf.",
        )
    return sum(int(torch.Size(size).numel()) for size in sizes)
