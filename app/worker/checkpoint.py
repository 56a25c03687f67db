"""A LLaVA checkpoint as a backend: load it, describe it, generate with it."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import get_args

from app.errors import NotFound
from app.machines import ModelCard
from app.protocol import ModelInfo, Sampling
from app.settings import BUNDLED, Precision, Settings
from app.worker.backend import Backend, EngineBackend, Piece
from app.worker.loading import noted
from app.worker.machine import name_of
from app.worker.sampling import params_of
from llava_core.conversation import Conversation
from llava_core.engine.building import Memory, default_limits, default_memory
from llava_core.engine.decoder import why_not
from llava_core.engine.engine import Engine
from llava_core.engine.generate import generate
from llava_core.engine.scheduler import Limits
from llava_core.loading import load_checkpoint
from llava_core.model import Checkpoint

log = logging.getLogger(__name__)


class CheckpointBackend:
    """Generates with a checkpoint that is loaded in this process, one answer at a time."""

    def __init__(self, checkpoint: Checkpoint, source: str) -> None:
        self._checkpoint = checkpoint
        self.info = info_of(checkpoint, source)

    def generate(
        self, conversation: Conversation, sampling: Sampling, cancelled: Callable[[], bool]
    ) -> Iterator[Piece]:
        """See :meth:`app.worker.backend.Backend.generate`."""
        return generate(self._checkpoint, conversation, params_of(sampling), cancelled)


def info_of(checkpoint: Checkpoint, named: str) -> ModelInfo:
    """The checkpoint's entry in ``GET /v1/models``; ``named`` as by ``--model``."""
    source, _ = split_precision(named)
    return ModelInfo(
        id=model_id(named),
        created=int(time.time()),
        revision=checkpoint.revision,
        precision=checkpoint.precision,
        template=checkpoint.template_name,
        context_length=checkpoint.context_length,
        parameters=checkpoint.parameters,
        sees=checkpoint.sees,
        source=source,
        device=name_of(checkpoint.device),
        memory_bytes=footprint_of(checkpoint),
        card=ModelCard(**asdict(checkpoint.card)),
    )


def footprint_of(checkpoint: Checkpoint) -> int:
    """Bytes of the weights as they are loaded."""
    footprint: int = checkpoint.model.get_memory_footprint()  # type: ignore[no-untyped-call]
    return footprint


NAMELESS = ("checkpoint", "adapter")
"""Folders of a run that are called after the run."""


def model_id(named: str) -> str:
    """The name under which a checkpoint is served: its folder's name, or its hub id, and the
    precision where ``--model`` names one: ``llava-tiny-stage2@8bit``."""
    source, precision = split_precision(named)
    suffix = f"@{precision}" if precision else ""
    path = Path(source)
    if not path.is_dir():
        return source + suffix
    folder = path.resolve()
    return (folder.parent.name if folder.name in NAMELESS else folder.name) + suffix


def split_precision(named: str) -> tuple[str, Precision | None]:
    """``PATH@8bit`` as path and precision; None where no precision is named.

    Raises :class:`app.errors.NotFound` where the end looks like a precision and is none.
    """
    source, at, suffix = named.rpartition("@")
    if not at or Path(named).exists():
        return named, None
    for precision in get_args(Precision):
        if suffix == precision:
            return source, precision
    if re.fullmatch(r"\d+\s?-?bits?", suffix):
        known = ", ".join(get_args(Precision))
        raise NotFound(f"There is no precision {suffix!r} in {named!r}.", f"Take one of: {known}.")
    return named, None


def sources(settings: Settings, bundled: Path = BUNDLED) -> list[str]:
    """The checkpoints to serve: those named, or else the bundled ones, the last stage first.

    Raises :class:`app.errors.NotFound` where there is none, or where two would have one name.
    """
    named = settings.model or sorted(
        (str(config.parent) for config in bundled.glob("*/config.json")), reverse=True
    )
    if not named:
        raise NotFound(
            f"There is no checkpoint in {bundled}.",
            "Train the bundled ones with: make tiny; or name one: --model NAME_OR_PATH.",
        )
    names = [model_id(source) for source in named]
    for name in names:
        if names.count(name) > 1:
            raise NotFound(
                f"Two checkpoints are called {name!r}.",
                "Rename the folder of one of them, or name another precision: PATH@8bit.",
            )
    return named


def load_backends(settings: Settings) -> list[Backend | EngineBackend]:
    """Load all checkpoints, saying for each what it is and how much memory it takes.

    Raises :class:`app.errors.NotFound` and what :func:`llava_core.loading.load_checkpoint` raises.
    """
    return [load_backend(source, settings) for source in sources(settings)]


def load_backend(named: str, settings: Settings) -> CheckpointBackend | EngineBackend:
    """Load one checkpoint on the device that the settings say, in the precision that is named
    with it (``PATH@8bit``), or else that of the settings."""
    source, precision = split_precision(named)
    log.info("loading %s", named)
    started = time.monotonic()
    with noted(model_id(named)):
        checkpoint = load_checkpoint(
            source,
            precision or settings.precision,
            settings.device,
            merge=settings.merge_adapters,
            serving=True,
        )
        backend = _backend(checkpoint, named, settings)
    log.info(
        "%s is ready after %.1f s: %.1f million parameters, %s, on %s, %.0f MB",
        backend.info.id,
        time.monotonic() - started,
        backend.info.parameters / 1e6,
        backend.info.precision,
        checkpoint.device,
        backend.info.memory_bytes / 1e6,
    )
    return backend


def _backend(
    checkpoint: Checkpoint, named: str, settings: Settings
) -> CheckpointBackend | EngineBackend:
    """The engine, or plain generation of one answer at a time where it cannot run the model."""
    reason = why_not(checkpoint.model)
    if reason is not None:
        log.warning("%s answers one request at a time: %s", model_id(named), reason)
        return CheckpointBackend(checkpoint, named)
    info = info_of(checkpoint, named)  # the engine takes the language model's weights over
    engine = Engine(checkpoint, _limits(checkpoint, settings), _memory(checkpoint, settings))
    log.info(
        "%s answers up to %d requests at once, with %.1f GB for %d tokens of context",
        model_id(named),
        engine.limits.running,
        engine.cache_bytes / 1e9,
        engine.capacity,
    )
    return EngineBackend(info, engine)


def _limits(checkpoint: Checkpoint, settings: Settings) -> Limits:
    limits = default_limits(checkpoint.device)
    return replace(limits, running=settings.max_running) if settings.max_running else limits


def _memory(checkpoint: Checkpoint, settings: Settings) -> Memory:
    if settings.cache_gb:
        return Memory.shared_out(int(settings.cache_gb * 1e9))
    return default_memory(checkpoint.device)
