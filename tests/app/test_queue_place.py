"""A place in the queue as a comment of an event stream."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from app.queue_place import QueuePlace


@pytest.mark.parametrize("place", [QueuePlace(before=0), QueuePlace(before=3, seconds=12.5)])
def test_it_comes_back_as_it_went(place: QueuePlace) -> None:
    comment = place.to_comment()
    assert comment.startswith(":") and comment.endswith("\n\n") and comment.count("\n") == 2
    assert QueuePlace.from_line(comment.rstrip("\n")) == place


@pytest.mark.parametrize(
    "line", ["", ": waiting", "data: {}", ": queue", ": queue soon", ': queue {"before": -1}']
)
def test_other_lines_tell_no_place(line: str) -> None:
    assert QueuePlace.from_line(line) is None


def test_a_wait_is_a_number() -> None:
    with pytest.raises(ValidationError):
        QueuePlace(before=0, seconds=float("inf"))
