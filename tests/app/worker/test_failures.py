"""Each failure of the model becomes the error that tells a person what to do."""

from __future__ import annotations

import pytest
import torch

from app.errors import (
    BadPicture,
    BadRequest,
    ContextTooLong,
    EmptyMessage,
    OutOfMemory,
    StudioError,
)
from app.worker.failures import as_studio_error
from llava_core.errors import (
    CheckpointError,
    ContextError,
    CoreError,
    MemoryShortage,
    NotANumber,
    PictureError,
    TemplateError,
)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (PictureError("cut off", "send another"), BadPicture),
        (ContextError("too long", "start anew", needed=9, available=4), ContextTooLong),
        (MemoryShortage("no room", "use 4bit"), OutOfMemory),
        (TemplateError("odd roles", "alternate"), BadRequest),
        (CheckpointError("no weights", "fetch them"), BadRequest),
        (NotANumber("no number", "ask again"), StudioError),
    ],
)
def test_errors_of_the_core_keep_their_words(error: CoreError, kind: type[StudioError]) -> None:
    shown = as_studio_error(error)
    assert type(shown) is kind
    assert (shown.message, shown.remedy) == (f"{error.message.capitalize()}.", error.remedy)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_out_of_memory_in_all_its_forms(error: Exception) -> None:
    assert type(as_studio_error(error)) is OutOfMemory


def test_a_real_allocation_that_is_too_large_is_out_of_memory() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert type(as_studio_error(caught.value)) is OutOfMemory


def test_what_nobody_foresaw_shows_no_inner_text() -> None:
    shown = as_studio_error(RuntimeError("/home/me/secret.txt"))
    assert shown.code == "internal_error"
    assert "RuntimeError" in shown.message and "secret" not in shown.message


def test_our_own_errors_pass_unchanged() -> None:
    error = EmptyMessage("nothing asked")
    assert as_studio_error(error) is error
