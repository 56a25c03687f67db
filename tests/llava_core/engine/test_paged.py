"""Keys and values in pages, and decode steps in recorded shapes: the same answers."""

from __future__ import annotations

import copy
import random
from dataclasses import replace

import pytest
import torch

from llava_core.engine import building
from llava_core.engine.building import Memory
from llava_core.engine.decoder import Decoder, Shape
from llava_core.engine.engine import Engine
from llava_core.engine.keys_values import KeysValues, Span
from llava_core.engine.paged import PagedKeysValues, Table
from llava_core.engine.replay import Replay
from llava_core.engine.scheduler import Limits
from llava_core.errors import CacheTooSmall
from llava_core.model import Checkpoint
from tests.llava_core.engine.engines import TALKS, Right, ask, run_out


def paged_engine(checkpoint: Checkpoint, limits: Limits, pages: int = 1000) -> Engine:
    own = replace(checkpoint, model=copy.deepcopy(checkpoint.model))
    size = building.PAGE * 2 * 2**14
    return Engine(own, limits, Memory(pages * size, 1 << 20), paged=True)


def shape_of(checkpoint: Checkpoint) -> Shape:
    return Decoder(copy.deepcopy(checkpoint.model)).shape


@pytest.mark.parametrize(("running", "rows", "page"), [(3, 5, 16), (8, 64, 256)])
def test_answers_are_those_of_plain_generation(
    any_right: Right, monkeypatch: pytest.MonkeyPatch, page: int, running: int, rows: int
) -> None:
    check_answers(any_right, monkeypatch, page, running, rows)


@pytest.mark.parametrize(
    ("running", "rows", "page"), [(1, 64, 16), (1, 64, 256), (3, 5, 256), (8, 64, 16)]
)
def test_with_any_pages_and_limits(
    right: Right, monkeypatch: pytest.MonkeyPatch, page: int, running: int, rows: int
) -> None:
    check_answers(right, monkeypatch, page, running, rows)


def check_answers(
    right: Right, monkeypatch: pytest.MonkeyPatch, page: int, running: int, rows: int
) -> None:
    monkeypatch.setattr(building, "PAGE", page)
    engine = paged_engine(right.checkpoint, Limits(running, rows_alone=rows, rows_beside=rows))
    order = random.Random(page + running).sample(range(len(TALKS)), len(TALKS))
    for talks in (order, order[::-1]):
        asked = [(talk, ask(engine, talk)[1]) for talk in talks]
        run_out(engine)
        for talk, told in asked:
            assert told.tokens == right.tokens(talk), talk
    assert engine.figures.reused_tokens > 0


def test_only_answers_are_replayed_and_sizes_are_few(
    right: Right, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    record = Replay._record

    def watched(replay: Replay, size: int) -> object:
        sizes.append(size)
        return record(replay, size)

    monkeypatch.setattr(Replay, "_record", watched)
    engine = paged_engine(right.checkpoint, Limits(running=6))
    for talk in range(len(TALKS)):
        ask(engine, talk)
    run_out(engine)
    assert sorted(sizes) == sorted(set(sizes)) and set(sizes) <= {1, 2, 4, 6}


def test_steps_that_cannot_be_recorded_are_computed(
    right: Right, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(replay: Replay, size: int) -> object:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(Replay, "_record", fail)
    engine = paged_engine(right.checkpoint, Limits())
    _, told = ask(engine, 0)
    run_out(engine)
    assert told.tokens == right.tokens(0)
    assert caplog.text.count("decode steps are not recorded") == 1


def test_a_request_longer_than_all_pages_is_refused(
    right: Right, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "PAGE", 16)
    engine = paged_engine(right.checkpoint, Limits())
    engine.scheduler.pool.number = 1
    with pytest.raises(CacheTooSmall, match="16"):
        ask(engine, 3)


@pytest.mark.parametrize("key_heads", [1, 2, 4])
def test_pages_and_runs_give_the_same_attention(right: Right, key_heads: int) -> None:
    shape = replace(shape_of(right.checkpoint), heads=4, key_heads=key_heads)
    device, generator = torch.device("cpu"), torch.Generator().manual_seed(key_heads)
    runs = KeysValues(shape, 12, 4, torch.float32, device)
    pages = PagedKeysValues(shape, 12, 4, torch.float32, device)
    blocks = [[2, 3, 9], [5, 1], [7]]
    history = [(0, 7), (0, 5), (0, 1)], [(7, 10), (5, 6), (1, 2)], [(10, 11), (6, 7), (2, 3)]
    for step in history:
        spans, first = [], 0
        for own, (start, end) in zip(blocks, step, strict=True):
            spans.append(Span(first, first + end - start, own, end))
            first += end - start
        made = [
            torch.randn(first, heads, shape.width, generator=generator)
            for heads in (4, key_heads, key_heads)
        ]
        for layer in range(shape.layers):
            expected = runs.step(spans)(layer, *made)
            torch.testing.assert_close(pages.step(spans)(layer, *made), expected)


def test_a_table_names_places_pages_and_lengths() -> None:
    table = Table.of([Span(0, 2, [4, 1], 5), Span(2, 3, [3], 4)], 4, torch.device("cpu"))
    assert table.places.tolist() == [4 * 4 + 3, 1 * 4 + 0, 3 * 4 + 3]
    assert table.rows.tolist() == [0, 2, 3] and table.used.tolist() == [5, 4]
    assert table.pages.tolist() == [[4, 1], [3, 0]] and table.most_rows == 2
