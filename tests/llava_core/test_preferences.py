"""Preference pairs: written, read back, and refused where they are no pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llava_core.preferences import (
    BadPreference,
    Message,
    PreferencePair,
    read_preferences,
    write_preferences,
)

CONTEXT = (
    Message("user", "Was ist das?", ("ab/abcd.png",)),
    Message("assistant", "Ein Stern."),
    Message("user", "Which colour?"),
)
PAIR = PreferencePair("vote_1", "vote", CONTEXT, "Röt\nlich.", "Blue.", "a", "b", "2026-01-01")
RECORD: dict[str, Any] = {
    "id": "x",
    "source": "vote",
    "context": [{"role": "user", "text": "What?"}],
    "chosen": "A.",
    "rejected": "B.",
}


def test_pairs_come_back_as_they_were(tmp_path: Path) -> None:
    pairs = [PAIR, PreferencePair("x", "siblings", CONTEXT[:1], "A.", "B.")]
    assert write_preferences(pairs, tmp_path / "p.jsonl") == 2
    assert list(read_preferences(tmp_path / "p.jsonl")) == pairs


def test_optional_keys_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(json.dumps(RECORD) + "\n\n")
    assert list(read_preferences(tmp_path / "p.jsonl")) == [
        PreferencePair("x", "vote", (Message("user", "What?"),), "A.", "B.")
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"source": "guess"}, "source is 'guess'"),
        ({"source": ["vote"]}, "source is"),
        ({"rejected": "A."}, "the same text"),
        ({"chosen": 3}, "chosen is not a text"),
        ({"context": []}, "does not end with a question"),
        ({"context": "What?"}, "context is not a list"),
        ({"context": [{"role": "assistant", "text": "x"}]}, "does not end with a question"),
        ({"context": [{"role": "user", "text": "x"}] * 2}, "context[1] is from 'user'"),
        ({"context": [{"role": "user", "text": "x", "images": [1]}]}, "not a path"),
        ({"context": [{"role": "user"}]}, "has no text"),
        ({"colour": "red"}, "unknown keys: colour"),
    ],
)
def test_records_that_are_no_pairs(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps(RECORD) + "\n" + json.dumps({**RECORD, **changes}) + "\n")
    with pytest.raises(BadPreference) as error:
        list(read_preferences(path))
    assert "line 2" in str(error.value) and told in str(error.value)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    def pairs() -> Any:
        yield PAIR
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        write_preferences(pairs(), tmp_path / "p.jsonl")
    assert not list(tmp_path.iterdir())
