"""Errors of the model, translated into the errors that people are shown."""

from __future__ import annotations

from app.errors import BadPicture, BadRequest, ContextTooLong, OutOfMemory, StudioError
from llava_core.devices import is_out_of_memory
from llava_core.errors import (
    CacheTooSmall,
    CheckpointError,
    ContextError,
    CoreError,
    MemoryShortage,
    NotANumber,
    PictureError,
    StepFailed,
    TemplateError,
)

_KINDS: tuple[tuple[type[CoreError], type[StudioError]], ...] = (
    (PictureError, BadPicture),
    (ContextError, ContextTooLong),
    (MemoryShortage, OutOfMemory),
    (TemplateError, BadRequest),
    (CheckpointError, BadRequest),
    (NotANumber, StudioError),
    (CacheTooSmall, ContextTooLong),
    (StepFailed, StudioError),
)


def as_studio_error(error: Exception) -> StudioError:
    """The same failure for a person; what nobody foresaw keeps its class name, not its text."""
    if isinstance(error, StudioError):
        return error
    for core_kind, kind in _KINDS:
        if isinstance(error, core_kind):
            return kind(_sentence(error.message), error.remedy)
    if is_out_of_memory(error):
        return OutOfMemory("The device ran out of memory while answering.")
    return StudioError(f"The model failed with {type(error).__name__}.")


def _sentence(message: str) -> str:
    """The core's messages begin in lower case and have no full stop."""
    return f"{message[:1].upper()}{message[1:].rstrip('.')}."
