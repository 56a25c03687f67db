"""Example pictures with a question each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.ui.examples import Example, load_examples


def listing(folder: Path, *entries: dict[str, str]) -> None:
    (folder / "examples.json").write_text(json.dumps(entries))


def test_the_shipped_examples_are_complete() -> None:
    examples = load_examples()
    assert len(examples) >= 3
    assert all(example.image.is_file() and example.question for example in examples)


def test_no_list_means_no_examples(tmp_path: Path) -> None:
    assert load_examples(tmp_path) == []


def test_examples_keep_their_order(tmp_path: Path) -> None:
    for name in ("b.png", "a.png"):
        (tmp_path / name).touch()
    listing(tmp_path, *({"image": n, "question": f"{n}?"} for n in ("b.png", "a.png")))
    assert load_examples(tmp_path) == [
        Example(tmp_path / "b.png", "b.png?"),
        Example(tmp_path / "a.png", "a.png?"),
    ]


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({"image": "a.png"}, "question"),
        ({"image": "gone.png", "question": "?"}, r"no picture gone\.png"),
        ({"image": "../a.png", "question": "?"}, r"no picture a\.png"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, entry: dict[str, str], complaint: str) -> None:
    listing(tmp_path, entry)
    with pytest.raises(ValueError, match=complaint):
        load_examples(tmp_path)
