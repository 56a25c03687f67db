"""What can go wrong in the core: what happened, and what the person can do.

CoreError
+-- PictureError        a picture that cannot be read, or is too large
+-- CheckpointError     a folder or hub id that cannot be loaded
+-- TemplateError       a chat template that does not fit
+-- ContextError        a conversation longer than the model's context
+-- MemoryShortage      a precision that does not fit into memory
+-- NotANumber          logits that no token can be chosen from
"""

from __future__ import annotations


class CoreError(Exception):
    """Base: ``message`` says what happened, ``remedy`` the next step."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message}. {remedy}" if remedy else message)
        self.message = message
        self.remedy = remedy


class PictureError(CoreError):
    """A picture that cannot be read, or is too large."""


class CheckpointError(CoreError):
    """A checkpoint that cannot be loaded."""


class TemplateError(CoreError):
    """A chat template that does not fit."""


class ContextError(CoreError):
    """A conversation longer than the context: ``needed`` and ``available`` in tokens."""

    def __init__(self, message: str, remedy: str, needed: int, available: int) -> None:
        super().__init__(message, remedy)
        self.needed = needed
        self.available = available


class MemoryShortage(CoreError):
    """A precision that does not fit into memory."""


class NotANumber(CoreError):
    """Logits that no token can be chosen from: NaN or infinite."""


class CacheTooSmall(CoreError):
    """A conversation that does not fit into the engine's cache even alone."""


class StepFailed(CoreError):
    """The model failed in the middle of an answer, for a reason that nobody foresaw."""
