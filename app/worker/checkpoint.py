"""A LLaVA checkpoint as a backend: load it, describe it, generate with it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from app.errors import NotFound
from app.protocol import ModelInfo, Sampling
from app.settings import BUNDLED, Settings
from app.worker.backend import Backend, Piece
from llava_core.conversation import Conversation
from llava_core.engine.generate import generate
from llava_core.engine.sampling import SamplingParams
from llava_core.loading import load_checkpoint
from llava_core.model import Checkpoint

log = logging.getLogger(__name__)


class CheckpointBackend:
    """Generates with a checkpoint that is loaded in this process."""

    def __init__(self, checkpoint: Checkpoint, source: str) -> None:
        self._checkpoint = checkpoint
        self.info = ModelInfo(
            id=model_id(source),
            created=int(time.time()),
            revision=checkpoint.revision,
            precision=checkpoint.precision,
            template=checkpoint.template_name,
            context_length=checkpoint.context_length,
            parameters=checkpoint.parameters,
            sees=checkpoint.sees,
            source=source,
        )

    def generate(
        self, conversation: Conversation, sampling: Sampling, cancelled: Callable[[], bool]
    ) -> Iterator[Piece]:
        """See :meth:`app.worker.backend.Backend.generate`."""
        params = SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=sampling.min_p,
            repetition_penalty=sampling.repetition_penalty,
            max_tokens=sampling.max_tokens,
            stop=tuple(sampling.stop),
            seed=sampling.seed,
            logprobs=sampling.top_logprobs if sampling.logprobs else None,
        )
        return generate(self._checkpoint, conversation, params, cancelled)


def model_id(source: str) -> str:
    """The name under which a checkpoint is served: its folder's name, or its hub id."""
    path = Path(source)
    return path.resolve().name if path.is_dir() else source


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
                f"Two checkpoints are called {name!r}.", "Rename the folder of one of them."
            )
    return named


def load_backends(settings: Settings) -> list[Backend]:
    """Load all checkpoints, saying for each what it is and how much memory it takes.

    Raises :class:`app.errors.NotFound` and what :func:`llava_core.loading.load_checkpoint` raises.
    """
    return [load_backend(source, settings) for source in sources(settings)]


def load_backend(source: str, settings: Settings) -> CheckpointBackend:
    """Load one checkpoint in the precision and on the device that the settings say."""
    log.info("loading %s", source)
    started = time.monotonic()
    checkpoint = load_checkpoint(source, precision=settings.precision, device=settings.device)
    backend = CheckpointBackend(checkpoint, source)
    footprint: int = checkpoint.model.get_memory_footprint()  # type: ignore[no-untyped-call]
    log.info(
        "%s is ready after %.1f s: %.1f million parameters, %s, on %s, %.0f MB",
        backend.info.id,
        time.monotonic() - started,
        backend.info.parameters / 1e6,
        backend.info.precision,
        checkpoint.device,
        footprint / 1e6,
    )
    return backend
