"""The GPU benchmark, tried out on a small model without a GPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import gpu_7b
from benchmarks.engine_model import SEVEN_BILLION, TINY


def test_the_tiny_shape_goes_through_all_sides(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--tiny", "--people", "3", "--tokens", "4", "--folder", str(tmp_path)]
    assert gpu_7b.main(options) == 0
    raw = json.loads((tmp_path / "results.json").read_text())
    sides = [(each["side"], each["precision"]) for each in raw["figures"]]
    assert sides == [(s, p) for p in ("16bit", "4bit") for s in ("ours", "generate")]
    for each in raw["figures"]:
        assert each["first"] > 0 and each["alone"] > 0 and each["together"] > 0
    head = TINY.vocabulary * TINY.language[0]  # whole in 4 bits too: of 32 bits on a CPU
    in_16, in_4 = raw["figures"][0]["read"] - 2 * head, raw["figures"][2]["read"] - 4 * head
    assert 0 < in_4 < in_16 / 2, "the layers' parameters are fewer bytes"
    table = (tmp_path / "table.md").read_text()
    assert table in capsys.readouterr().out
    assert table.count("| ours |") == 2 and "tokens/s, 3 people" in table


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_that_nothing_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gpu_7b.main(["--folder", str(tmp_path / "new")]) == 1
    assert "nothing was measured" in capsys.readouterr().out
    assert not (tmp_path / "new").exists()


def test_the_shape_is_llava_1_5_7bs() -> None:
    assert SEVEN_BILLION.visual_tokens == 576
    assert SEVEN_BILLION.parameters_per_step == pytest.approx(6.6e9, rel=0.01)
