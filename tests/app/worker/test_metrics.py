"""The worker's figures in Prometheus' format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.settings import Settings
from app.worker.checkpoint import load_backend
from tests.app.worker.conftest import Worker
from tests.fakes import ScriptedBackend
from tests.tiny_checkpoint import make_tiny_checkpoint


def figures(worker: Worker) -> dict[str, float]:
    reply = worker.client.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in reply.text.splitlines() if not line.startswith("#")]
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines}


@pytest.fixture
def worker(tmp_path: Path, start: Callable[..., Worker]) -> Worker:
    make_tiny_checkpoint(tmp_path / "tiny")
    real = load_backend(str(tmp_path / "tiny"), Settings(precision="32bit", device="cpu"))
    return start(real, ScriptedBackend())


def test_what_was_computed_and_used_again_is_told(worker: Worker) -> None:
    for _ in range(2):
        assert worker.ask("What is it, and where?", model="tiny", max_tokens=4).status_code == 200
    told = figures(worker)
    assert told['llava_studio_requests_total{model="tiny"}'] == 2
    assert told['llava_studio_answer_tokens_total{model="tiny"}'] == 8
    computed = told['llava_studio_prompt_tokens_total{model="tiny"}']
    assert told['llava_studio_reused_tokens_total{model="tiny"}'] == computed - 2
    assert told['llava_studio_blocks_used{model="tiny"}'] == 0
    assert told['llava_studio_blocks_remembered{model="tiny"}'] > 0


def test_a_model_of_plain_generation_tells_its_line(worker: Worker) -> None:
    told = figures(worker)
    assert told['llava_studio_waiting{model="scripted"}'] == 0
    assert 'llava_studio_steps_total{model="scripted"}' not in told


def test_every_figure_is_explained(worker: Worker) -> None:
    lines = worker.client.get("/metrics").text.splitlines()
    names = {line.split()[2] for line in lines if line.startswith("# HELP")}
    typed = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert names == typed == {line.split("{")[0] for line in lines if not line.startswith("#")}
