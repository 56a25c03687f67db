"""Where an answer looked, over the worker's interface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from app.settings import Settings
from app.worker.backend import EngineBackend
from app.worker.checkpoint import load_backend
from tests.app.worker.conftest import Worker, data_url
from tests.fakes import ScriptedBackend
from tests.tiny_checkpoint import make_tiny_checkpoint


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> EngineBackend:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    make_tiny_checkpoint(folder)
    backend = load_backend(str(folder), Settings(precision="32bit", device="cpu"))
    assert isinstance(backend, EngineBackend)
    return backend


def conversation(*answers: str) -> dict[str, Any]:
    url = {"url": data_url(Image.linear_gradient("L").convert("RGB"))}
    content = [{"type": "image_url", "image_url": url}, {"type": "text", "text": "What is it?"}]
    return {
        "messages": [
            {"role": "user", "content": content},
            *({"role": "assistant", "content": answer} for answer in answers),
        ]
    }


def test_each_word_has_a_grid_over_the_picture(
    start: Callable[..., Worker], real: EngineBackend
) -> None:
    worker = start(real)
    reply = worker.client.post("/v1/explanations", json=conversation("The star is red."))
    assert reply.status_code == 200, reply.text
    words = reply.json()["words"]
    assert reply.json()["views"] == [pytest.approx((0, 0, 1, 1), abs=0.02)], "it is stretched"
    assert "".join(word["text"] for word in words).strip() == "The star is red."
    for word in words:
        [grid] = word["grids"]
        assert len(grid) == 4 and all(len(row) == 4 for row in grid)
        assert max(max(row) for row in grid) == 1.0 and 0 < word["share"] < 1
    worker.until(active=0, waiting=0)


def test_a_question_without_an_answer_is_refused(
    start: Callable[..., Worker], real: EngineBackend
) -> None:
    reply = start(real).client.post("/v1/explanations", json=conversation())
    assert reply.status_code == 400 and "no answer" in reply.json()["error"]["message"]


def test_an_answer_longer_than_the_context_is_refused(
    start: Callable[..., Worker], real: EngineBackend
) -> None:
    reply = start(real).client.post("/v1/explanations", json=conversation("word " * 400))
    assert reply.status_code == 400 and reply.json()["error"]["code"] == "context_too_long"


def test_a_model_outside_the_engine_says_that_it_cannot(start: Callable[..., Worker]) -> None:
    reply = start(ScriptedBackend()).client.post("/v1/explanations", json=conversation("Red."))
    assert reply.status_code == 400 and "scripted" in reply.json()["error"]["message"]
