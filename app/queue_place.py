"""A request's place in a model's queue, as it travels from the worker to the page.

It is a comment of the event stream, which OpenAI's clients skip: https://html.spec.whatwg.org/
multipage/server-sent-events.html#parsing-an-event-stream says that lines with a colon in front are
ignored.
"""

from __future__ import annotations

from pydantic import Field, ValidationError

from app.protocol import Wire

MARK = ": queue "


class QueuePlace(Wire):
    """``before``: requests that come into work before this one. ``seconds``: about how long it will
    wait, judging by the last answers; None before the model has finished its first."""

    before: int = Field(ge=0)
    seconds: float | None = Field(None, ge=0, allow_inf_nan=False)

    def to_comment(self) -> str:
        """One line of the event stream, and the empty line that ends it."""
        return f"{MARK}{self.model_dump_json()}\n\n"

    @classmethod
    def from_line(cls, line: str) -> QueuePlace | None:
        """The place that a line of an event stream tells; None for all other lines."""
        if not line.startswith(MARK):
            return None
        try:
            return cls.model_validate_json(line.removeprefix(MARK))
        except ValidationError:
            return None  # somebody else's comment: comments carry nothing that must be understood
