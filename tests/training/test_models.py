"""Which checkpoints can be trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from llava_core.errors import CheckpointError
from tests.outside_models import make_idefics3
from tests.training.tiny_runs import make_data, write_recipe
from training.models import build_model
from training.recipe_file import load_recipe


def test_a_model_that_is_no_llava_is_refused_by_its_name(tmp_path: Path) -> None:
    make_data(tmp_path, 4)
    make_idefics3(tmp_path / "tiny")
    recipe = load_recipe(write_recipe(tmp_path, tmp_path / "out"))
    with pytest.raises(CheckpointError, match="architecture of tiny, idefics3,") as caught:
        build_model(recipe, torch.device("cpu"))
    assert "llava_onevision" in caught.value.remedy
