"""A tiny checkpoint, made once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from llava_core.loading import load_checkpoint
from llava_core.model import Checkpoint
from tests.tiny_checkpoint import make_tiny_checkpoint


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny checkpoint."""
    return make_tiny_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture(scope="session")
def checkpoint(folder: Path) -> Checkpoint:
    """The same, loaded in 32 bits on the CPU."""
    return load_checkpoint(folder, "32bit", "cpu")
