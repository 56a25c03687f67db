"""LoRA adapters on a checkpoint: served as they are, or merged into its weights.

An adapter's folder is PEFT's (``adapter_config.json``, ``adapter_model.safetensors``); beside it, a
projector that was trained along (``projector.safetensors``).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from llava_core.errors import CheckpointError
from llava_core.model import Checkpoint

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PROJECTOR = "projector.safetensors"


def is_adapter(folder: Path) -> bool:
    """Whether the folder holds an adapter, not a whole model."""
    return (folder / CONFIG).is_file()


def base_of(folder: Path) -> str:
    """The checkpoint under an adapter: a folder, seen from here or from the adapter, or a hub id.

    Raises :class:`CheckpointError` where the adapter does not name one.
    """
    try:
        named = json.loads((folder / CONFIG).read_text("utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unusable(folder, f"its {CONFIG} cannot be read ({error})") from error
    if not isinstance(named, str) or not named:
        raise _unusable(folder, f"its {CONFIG} names no base_model_name_or_path")
    beside = folder / named
    return str(beside) if not Path(named).is_dir() and beside.is_dir() else named


def adapt(checkpoint: Checkpoint, folder: Path, merge: bool) -> Checkpoint:
    """The checkpoint with the adapter in it: merged, which costs nothing later, or beside.

    Weights of 8 and 4 bits are never merged into, since rounding would lose the most of it.
    Raises :class:`CheckpointError` where adapter and checkpoint do not fit.
    """
    try:
        adapted = with_adapter(checkpoint.model, folder)
        if merge and checkpoint.precision in ("32bit", "16bit"):
            adapted.merge_and_unload()
        if (folder / PROJECTOR).is_file():
            inner: Any = checkpoint.model.model
            inner.multi_modal_projector.load_state_dict(load_file(folder / PROJECTOR))
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise _unusable(folder, str(error)) from error
    checkpoint.model.requires_grad_(False)
    checkpoint.model.train(False)
    return dataclasses.replace(
        checkpoint,
        name=folder.name,
        revision=f"{checkpoint.revision}+{_digest(folder)}",
        parameters=sum(p.numel() for p in checkpoint.model.parameters())
        if checkpoint.precision in ("32bit", "16bit")
        else checkpoint.parameters,
    )


def with_adapter(model: Any, folder: Path) -> Any:
    """The model with the adapter that is kept in ``folder``."""
    from peft import PeftModel  # slow to import

    with quietly():
        return PeftModel.from_pretrained(model, str(folder))


@contextmanager
def quietly() -> Iterator[None]:
    """PEFT uses a former name of something in transformers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in (WEIGHTS, PROJECTOR):
        if (folder / name).is_file():
            digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:16]


def _unusable(folder: Path, why: str) -> CheckpointError:
    return CheckpointError(
        f"the adapter {folder} cannot be used: {why}",
        "Give an adapter that was trained on a LLaVA checkpoint, and the checkpoint that it names.",
    )
