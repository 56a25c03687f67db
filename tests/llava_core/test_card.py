"""What is read from model cards, ours and others'."""

from __future__ import annotations

from pathlib import Path

import pytest

from llava_core.card import LONGEST, Card, plain, read_card

BUNDLED = Path(__file__).resolve().parents[2] / "assets" / "checkpoints"


@pytest.mark.parametrize(("stage", "mean"), [(1, "64.9%"), (2, "96.1%")])
def test_the_bundled_cards(stage: int, mean: str) -> None:
    card = read_card(BUNDLED / f"llava-tiny-stage{stage}")
    assert card.license == "apache-2.0"
    assert card.trained_on.startswith("60000 drawn scenes") and "No photographs" in card.trained_on
    assert f"Mean over types of this checkpoint: {mean}" in card.accuracy
    assert "|" not in card.accuracy and card.accuracy.endswith("%.")
    assert card.limits.startswith("It knows nothing outside its drawn world")


def test_a_card_of_the_hub(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(
        "---\nlicense: llama2\nbase_model: [a/b, c/d]\ndatasets:\n- x/y\n---\n# Model\nWords.\n"
        "## Limitations\nIt **may** [err](https://x.org).\n```\ncode\n```\n- often\n"
    )
    expected = Card("llama2", "a/b, c/d", "x/y", "", "It may err. often")
    assert read_card(tmp_path) == expected


@pytest.mark.parametrize("text", ["", "no card", "---\n: : [\n---\n", "---\n- 1\n---\n", "---\n"])
def test_what_is_no_card_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "README.md").write_text(text)
    assert read_card(tmp_path) == Card()
    assert read_card(tmp_path / "missing") == Card()


def test_a_long_section_ends_with_a_sentence() -> None:
    text = plain("One sentence of words. " * 100)
    assert len(text) <= LONGEST and text.endswith(".")
