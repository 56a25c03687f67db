"""What of a child's output the launcher shows."""

from __future__ import annotations

import logging

import pytest

from app.logs import FORMAT, warning_in


@pytest.mark.parametrize(("level", "shown"), [("INFO", False), ("WARNING", True), ("ERROR", True)])
def test_warnings_and_errors_are_shown_without_their_head(level: str, shown: bool) -> None:
    number = logging.getLevelNamesMapping()[level]
    record = logging.LogRecord("app.x", number, "x.py", 1, "disk is %s: hm", ("full",), None)
    line = logging.Formatter(FORMAT).format(record)
    assert warning_in(line) == ("disk is full: hm" if shown else None)


def test_other_output_is_not_shown() -> None:
    assert warning_in("Traceback (most recent call last):") is None
