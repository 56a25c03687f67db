"""A tiny checkpoint of each kind of language model, with its right answers."""

from __future__ import annotations

import pytest

from llava_core.engine.decoder import LANGUAGES
from llava_core.loading import load_checkpoint
from tests.llava_core.engine.engines import Right
from tests.tiny_checkpoint import make_tiny_checkpoint


@pytest.fixture(scope="session", params=LANGUAGES)
def any_right(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Right:
    """The right answers of a checkpoint of each kind."""
    return right_of(request.param, tmp_path_factory)


@pytest.fixture(scope="session")
def right(tmp_path_factory: pytest.TempPathFactory) -> Right:
    """The right answers of one checkpoint."""
    return right_of("mistral", tmp_path_factory)


def right_of(language: str, temporary: pytest.TempPathFactory) -> Right:
    """Of a seed with which no answer of the tests hangs on rounding."""
    folder = temporary.mktemp("engine") / language
    make_tiny_checkpoint(folder, seed=1 if language == "llama" else 0, language=language)
    return Right(load_checkpoint(folder, "32bit", "cpu"))
