"""Steps, rows and micro-batches: every sample once, none sees another, none is lost."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from llava_core.training.attention import attend_in_float32
from llava_core.training.batching import Layout, Mixture, Shape, Steps, collate, lay_out, pack
from llava_core.training.objective import AnswerLoss
from llava_core.training.prepared import TokenSample
from tests.tiny_checkpoint import VISUAL_TOKENS, make_model, make_tokenizer

PAD = 0
lists_of_lengths = st.lists(st.integers(1, 60), min_size=1, max_size=40)


@dataclass
class Samples:
    """A prepared set that lies in memory."""

    samples: list[TokenSample]

    def __len__(self) -> int:
        return len(self.samples)

    def sample(self, index: int) -> TokenSample:
        return self.samples[index]

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.asarray([len(each.ids) for each in self.samples], np.int64)

    @property
    def answer_tokens(self) -> NDArray[np.int64]:
        return np.asarray([each.mask[1:].sum() for each in self.samples], np.int64)


def sample(*ids: int, learnt: int = 0, pictures: tuple[int, ...] = ()) -> TokenSample:
    """The last ``learnt`` of ``ids`` are learnt."""
    mask = np.arange(len(ids)) >= len(ids) - learnt
    return TokenSample(np.asarray(ids, np.int64), mask, pictures)


def mixture(*sizes: int, weights: Sequence[float] = (), seed: int = 0) -> Mixture:
    sets: list[Any] = [Samples([sample(1, 2, 3, learnt=1)] * size) for size in sizes]
    return Mixture(sets, list(weights) or [1.0] * len(sizes), seed)


# --- rows and micro-batches -----------------------------------------------------------------------


@given(lists_of_lengths, st.integers(0, 40))
def test_rows_are_never_too_long_and_hold_every_sample_once(lengths: list[int], more: int) -> None:
    capacity = max(lengths) + more
    rows = pack(range(len(lengths)), np.asarray(lengths), capacity)
    assert sorted(number for row in rows for number in row) == list(range(len(lengths)))
    filled = [sum(lengths[number] for number in row) for row in rows]
    assert max(filled) <= capacity and min(filled) > 0
    if len(filled) > 1:
        assert sum(sorted(filled)[:2]) > capacity, "two rows fit into one"


@given(
    lists_of_lengths,
    st.sampled_from(["packed", "padded"]),
    st.integers(0, 100),
    st.integers(8, 300),
    st.integers(1, 5),
)
def test_every_process_gets_as_many_micro_batches(
    lengths: list[int], layout: Layout, row_tokens: int, micro_tokens: int, processes: int
) -> None:
    sizes = np.asarray(lengths)
    shape = Shape(layout, row_tokens, micro_tokens)
    shares = lay_out(range(len(lengths)), sizes, shape, processes)
    assert len(shares) == processes and len({len(share) for share in shares}) == 1
    micros = [micro for share in shares for micro in share]
    assert sorted(n for micro in micros for row in micro for n in row) == list(range(len(lengths)))
    assert sum(not micro for micro in micros) < processes, "no more empty ones than needed"
    for micro in filter(None, micros):
        width = max(int(sizes[row].sum()) for row in micro)
        assert len(micro) == 1 or len(micro) * width <= micro_tokens
        assert layout == "packed" or all(len(row) == 1 for row in micro)
        assert width <= max(row_tokens, max(lengths))


@given(lists_of_lengths)
def test_padded_rows_are_grouped_by_length(lengths: list[int]) -> None:
    """Each micro-batch's samples are no shorter than those of the next."""
    (micros,) = lay_out(range(len(lengths)), np.asarray(lengths), Shape("padded", 0, 128))
    spans = [[lengths[row[0]] for row in micro] for micro in micros]
    assert all(min(one) >= max(other) for one, other in pairwise(spans))


def test_a_sample_that_comes_twice_in_a_step_is_learnt_twice() -> None:
    (micros,) = lay_out([0, 1, 0], np.asarray([5, 3]), Shape("packed", 8, 8))
    assert sorted(n for micro in micros for row in micro for n in row) == [0, 0, 1]


# --- the mixture ----------------------------------------------------------------------------------


def test_weights_say_how_often_a_sample_is_shown() -> None:
    mixed = mixture(10, 10, 10, weights=[2.0, 0.5, 1.3])
    assert len(mixed) == 20 + 5 + 13
    counts = Counter(mixed.order(0).tolist())
    assert [counts[n] for n in range(10)] == [2] * 10
    assert sorted(counts[n] for n in range(10, 20)) == [0] * 5 + [1] * 5
    assert sorted(counts[n] for n in range(20, 30)) == [1] * 7 + [2] * 3


def test_half_a_set_is_another_half_in_another_epoch() -> None:
    mixed = mixture(40, weights=[0.5])
    halves = [set(mixed.order(epoch).tolist()) for epoch in range(8)]
    assert all(len(half) == 20 for half in halves)
    assert halves[0] != halves[1] and set.union(*halves) == set(range(40))


@given(st.integers(0, 2**32), st.integers(0, 50))
def test_the_order_follows_from_seed_and_epoch(seed: int, epoch: int) -> None:
    first = mixture(20, 7, seed=seed)
    order = first.order(epoch).tolist()
    first.order(epoch + 1)
    assert first.order(epoch).tolist() == order == mixture(20, 7, seed=seed).order(epoch).tolist()
    assert order != mixture(20, 7, seed=seed + 1).order(epoch).tolist()
    assert order != first.order(epoch + 1).tolist()
    assert sorted(order) == list(range(27))


def test_two_threads_may_ask_for_different_epochs() -> None:
    """As happens at the end of each: one trains while the other reads ahead."""
    mixed = mixture(50)
    right = [mixture(50).order(epoch).tolist() for epoch in range(4)]
    wrong: list[int] = []

    def ask(epochs: Sequence[int]) -> None:
        for turn in range(3000):
            epoch = epochs[turn % len(epochs)]
            if mixed.order(epoch).tolist() != right[epoch]:
                wrong.append(epoch)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=ask, args=(epochs,)) for epochs in ((0, 1), (1, 2, 3))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong


@given(st.integers(1, 50), st.integers(1, 20))
def test_the_steps_of_an_epoch_are_its_order_in_pieces(size: int, batch_size: int) -> None:
    mixed = mixture(size)
    steps = Steps(mixed, batch_size, 2.0)
    for epoch in range(2):
        numbers = range(epoch * steps.per_epoch, (epoch + 1) * steps.per_epoch)
        pieces = [steps.samples(step) for step in numbers]
        assert [n for piece in pieces for n in piece] == mixed.order(epoch).tolist()
        assert all(len(piece) == batch_size for piece in pieces[:-1]) and pieces[-1]
    assert steps.total == 2 * steps.per_epoch


def test_a_part_of_an_epoch_is_a_part_of_its_steps() -> None:
    assert Steps(mixture(100), 10, 0.5).total == 5 and Steps(mixture(3), 10, 0.1).total == 1


# --- tensors --------------------------------------------------------------------------------------


def test_positions_begin_anew_with_each_sample() -> None:
    one = sample(5, 6, 7, learnt=2, pictures=(4, 2))
    two, three = sample(8, 9, learnt=2), sample(3, learnt=1, pictures=(0,))
    sets: list[Any] = [Samples([one, two]), Samples([three])]
    batch = collate([[0, 1], [2]], Mixture(sets, [1.0, 1.0], 0), PAD)
    assert batch.ids.tolist() == [[5, 6, 7, 8, 9], [3, 0, 0, 0, 0]]
    assert batch.positions.tolist() == [[0, 1, 2, 0, 1], [0, 1, 2, 3, 4]]
    assert batch.targets.tolist() == [[-100, 6, 7, -100, 9], [-100] * 5]
    assert batch.pictures == ((0, 4), (0, 2), (1, 0))
    assert (batch.tokens, batch.packed) == (6, True)


def test_an_empty_micro_batch_is_one_token_that_nobody_learns() -> None:
    batch = collate([], mixture(1), PAD)
    assert batch.ids.tolist() == [[PAD]] and batch.targets.tolist() == [[-100]]
    assert batch.pictures == () and batch.tokens == 0


# --- the loss -------------------------------------------------------------------------------------


@cache
def tiny(language: str) -> AnswerLoss:
    """A model that takes Z_v, in float32, with the attention that training uses."""
    model = make_model(make_tokenizer(), language=language).eval()
    attend_in_float32(model.model.language_model, torch.device("cpu"))
    return AnswerLoss(model, None)


def z_v(pictures: Sequence[tuple[int, int]]) -> Tensor | None:
    """Made-up features: the same for the same picture."""
    made = [
        torch.randn(VISUAL_TOKENS, 32, generator=torch.Generator().manual_seed(number))
        for _, number in pictures
    ]
    return torch.stack(made) if made else None


IMAGE = make_tokenizer().convert_tokens_to_ids("<image>")


@st.composite
def token_samples(draw: st.DrawFn) -> TokenSample:
    """Some words, pictures among them, and an answer of one word or more."""
    words = st.lists(st.integers(10, 290), max_size=6)
    pictures = tuple(draw(st.lists(st.integers(0, 9), max_size=2)))
    ids = draw(words)
    for _ in pictures:
        ids += [IMAGE] * VISUAL_TOKENS + draw(words)
    answer = [*draw(words), 2]
    return sample(1, *ids, *answer, learnt=len(answer), pictures=pictures)


def losses(objective: AnswerLoss, rows: list[list[int]], samples: list[TokenSample]) -> float:
    sets: list[Any] = [Samples(samples)]
    batch = collate(rows, Mixture(sets, [1.0], 0), PAD)
    with torch.no_grad():
        seen = z_v(batch.pictures)
        return float(objective(batch.ids, batch.positions, batch.targets, seen))


@pytest.mark.parametrize("language", ["llama", "qwen3"])
@settings(max_examples=15)
@given(data=st.data())
def test_a_row_of_several_samples_costs_what_they_cost_alone(
    language: str, data: st.DataObject
) -> None:
    samples = data.draw(st.lists(token_samples(), min_size=2, max_size=5))
    objective, numbers = tiny(language), list(range(len(samples)))
    alone = sum(losses(objective, [[number]], samples) for number in numbers)
    rows = [numbers, [[n] for n in numbers], [numbers[:1], numbers[1:]]]
    for laid_out in ([rows[0]], rows[1], rows[2]):
        together = losses(objective, laid_out, samples)  # type: ignore[arg-type]
        assert together == pytest.approx(alone, rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("language", ["llama", "qwen3"])
@pytest.mark.parametrize("changed", [0, 2])
def test_samples_in_one_row_do_not_see_each_other(language: str, changed: int) -> None:
    """Another text, another picture beside it: the middle sample's loss is the very same."""
    visual = [IMAGE] * VISUAL_TOKENS
    others = [
        TokenSample(np.asarray([1, *visual, *words]), np.zeros(19, bool), (picture,))
        for words, picture in (([20, 21], 1), ([250, 99], 2))
    ]
    middle = sample(1, *visual, 30, 31, 32, 2, learnt=3, pictures=(7,))
    found = []
    for other in others:
        samples = [others[0], middle, others[0]]
        samples[changed] = other
        found.append(losses(tiny(language), [[0, 1, 2]], samples))
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_the_loss_is_that_of_transformers() -> None:
    """Summed over the answers: as the model itself computes it from labels."""
    objective = tiny("llama")
    text = sample(1, 40, 41, 42, 43, 2, learnt=3)
    ids = torch.tensor([text.ids.tolist()])
    labels = torch.tensor([[-100, -100, -100, 42, 43, 2]])
    with torch.no_grad():
        mean = objective.model(input_ids=ids, labels=labels).loss
    assert losses(objective, [[0]], [text]) == pytest.approx(3 * mean.item(), rel=1e-5)
