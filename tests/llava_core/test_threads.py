"""A model's thread keeps its helpers whatever other threads are told."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from llava_core import threads


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    number = torch.get_num_threads()
    yield
    torch.set_num_threads(number)


def computed() -> int:
    """With how many threads, after something was computed."""
    torch.ones(1 << 17).sum()
    return torch.get_num_threads()


@pytest.mark.parametrize("first", ["model", "request"])
def test_each_thread_has_its_own_number(first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_ALL", 3)
    with ThreadPoolExecutor(1) as model, ThreadPoolExecutor(1) as request:
        told = [
            (model, threads.compute_with_helpers),
            (request, threads.compute_alone),
        ]
        for thread, tell in told if first == "model" else reversed(told):
            thread.submit(tell).result()
        assert model.submit(computed).result() == 3
        assert request.submit(computed).result() == 1
        assert model.submit(computed).result() == 3
