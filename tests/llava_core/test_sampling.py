"""The next token: the same distribution as transformers' own, alone and with others in a step."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from llava_core.engine.sampling import (
    Choice,
    Sampler,
    SamplingParams,
    candidates,
    choose_all,
    nucleus,
    penalised,
)
from llava_core.errors import CoreError, NotANumber

# Steps of 1/64: equal or clearly apart, so that rounding never decides which token is kept.
LOGIT = st.integers(-200, 200).map(lambda n: n / 64)
LOGITS = st.lists(LOGIT, min_size=2, max_size=40)
DISTINCT = st.lists(LOGIT, min_size=2, max_size=40, unique=True)
PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0.05, 5),
        "top_k": st.integers(0, 50),
        "top_p": st.floats(0.01, 1),
        "min_p": st.floats(0, 1),
        "repetition_penalty": st.floats(0.5, 2),
        "logprobs": st.integers(0, 20),
    },
)


def theirs(logits: Tensor, params: SamplingParams, seen: list[int]) -> Tensor:
    """Probabilities (vocabulary,) by transformers' processors, in the order it uses them."""
    steps: list[LogitsProcessor] = [TemperatureLogitsWarper(float(params.temperature))]
    if params.repetition_penalty != 1 and seen:
        steps.insert(0, RepetitionPenaltyLogitsProcessor(float(params.repetition_penalty)))
    if params.top_k:
        steps.append(TopKLogitsWarper(params.top_k))
    if params.top_p < 1:
        steps.append(TopPLogitsWarper(float(params.top_p)))
    if params.min_p > 0:
        steps.append(MinPLogitsWarper(float(params.min_p)))
    ids = torch.tensor([seen], dtype=torch.long)
    return LogitsProcessorList(steps)(ids, logits[None].double())[0].softmax(-1)  # type: ignore[arg-type]


def ours(logits: Tensor, params: SamplingParams, seen: list[int]) -> Tensor:
    """The same by what :class:`Sampler` draws from."""
    scores = penalised(logits.double(), seen, params.repetition_penalty)
    ids, weights = candidates(scores, params)
    return torch.zeros(len(logits), dtype=torch.double).scatter(0, ids, weights / weights.sum())


def decided_by_rounding(logits: Tensor, params: SamplingParams, seen: list[int]) -> bool:
    """Whether a token is so near to a limit that the order of additions decides on it."""
    scores = penalised(logits.double(), seen, params.repetition_penalty) / params.temperature
    ordered = scores.sort(descending=True).values
    kept = ordered[: params.top_k] if params.top_k else ordered
    probabilities = kept.softmax(0)
    near_p = (probabilities.cumsum(0) - params.top_p).abs() < 1e-9
    near_min = (probabilities / probabilities[0] - params.min_p).abs() < 1e-9
    return bool(near_p.any() or near_min.any() or (ordered.diff() > -1e-9).any())


@settings(max_examples=300)
@given(DISTINCT, PARAMS, st.lists(st.integers(0, 60), max_size=8))
def test_the_distribution_is_transformers_own(
    values: list[float], given_params: dict[str, Any], seen: list[int]
) -> None:
    params = SamplingParams(**{"temperature": 1.0, **given_params})
    logits = torch.tensor(values)
    assume(not decided_by_rounding(logits, params, seen))
    expected = theirs(logits, params, seen)
    found = ours(logits, params, seen)
    assert torch.equal(found > 0, expected > 0)
    assert torch.allclose(found, expected, rtol=1e-9, atol=0)


@given(st.integers(0, 10**6), st.sampled_from([0.3, 0.7, 0.95, 0.999]), st.sampled_from([0.1, 3]))
def test_a_large_vocabulary_whose_nucleus_is_small_or_large(
    seed: int, top_p: float, temperature: float
) -> None:
    logits = torch.randn(5000, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    params = SamplingParams(temperature=temperature, top_p=top_p)
    assert torch.allclose(ours(logits, params, []), theirs(logits, params, []), rtol=1e-9, atol=0)


def test_tokens_as_likely_as_the_last_of_top_k_stay_as_in_transformers() -> None:
    params = SamplingParams(temperature=1, top_k=2)
    logits = torch.tensor([1.0, 3.0, 2.0, 2.0, 0.0])
    assert (ours(logits, params, []) > 0).tolist() == [False, True, True, True, False]
    assert torch.allclose(ours(logits, params, []), theirs(logits, params, []))


def test_nucleus_keeps_the_smallest_set_that_reaches_top_p() -> None:
    assert nucleus(torch.tensor([0.1, 0.5, 0.3, 0.1]), 0.7).tolist() == [False, True, True, False]
    assert nucleus(torch.tensor([0.6, 0.4]), 0.01).tolist() == [True, False]
    assert nucleus(torch.tensor([0.5, 0.25, 0.25]), 0.5).tolist() == [True, False, False]


def test_top_p_counts_what_top_k_has_left() -> None:
    """Of 0.4 and 0.3 the first is more than half; of the whole distribution it is not."""
    params = SamplingParams(temperature=1, top_k=2, top_p=0.5)
    logits = torch.tensor([0.4, 0.3, 0.2, 0.1]).log()
    assert ours(logits, params, []).tolist() == theirs(logits, params, []).tolist() == [1, 0, 0, 0]


@given(LOGITS, PARAMS, st.integers(0, 99))
def test_what_is_drawn_is_among_what_is_kept(
    values: list[float], given_params: dict[str, Any], seed: int
) -> None:
    params = SamplingParams(**{"temperature": 1.0, **given_params, "seed": seed})
    logits = torch.tensor(values)
    token = Sampler(params).pick(logits, [0, 1]).token_id
    assert ours(logits, params, [0, 1])[token] > 0


def test_samples_follow_the_probabilities() -> None:
    params = SamplingParams(temperature=2.0, top_k=3, seed=0)
    sampler = Sampler(params)
    logits = torch.tensor([0.0, 2.0, -5.0, -2.0])
    counts = Counter(sampler.choose(logits) for _ in range(4000))
    shares = torch.tensor([counts[token] / 4000 for token in range(4)]).double()
    assert torch.allclose(shares, theirs(logits, params, []), atol=0.03)


@pytest.mark.parametrize("chance", [0.0, 1 - 2**-53])
def test_a_token_without_weight_is_never_drawn(
    chance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = torch.tensor(chance, dtype=torch.double)
    monkeypatch.setattr("llava_core.engine.sampling.torch.rand", lambda *_, **__: drawn)
    for number in range(1, 40):
        logits = torch.tensor([-math.inf, *torch.linspace(0, 1, number).tolist(), -math.inf])
        expected = 1 if chance == 0 else number
        assert Sampler(SamplingParams(temperature=1)).choose(logits) == expected


@pytest.mark.parametrize("temperature", [5e-324, 1e-30, 1e-3])
def test_a_temperature_near_zero_is_like_zero(temperature: float) -> None:
    sampler = Sampler(SamplingParams(temperature=temperature, seed=0))
    assert sampler.choose(torch.tensor([0.0, 30_000.0, 29_999.0])) == 1


def test_temperature_zero_is_the_most_likely_token_and_the_first_of_equals() -> None:
    assert Sampler(SamplingParams()).choose(torch.tensor([0.0, 3.0, 1.0])) == 1
    assert Sampler(SamplingParams()).choose(torch.tensor([0.0] + [5.0] * 100)) == 1


def test_a_penalty_changes_the_most_likely_token_and_not_the_logits() -> None:
    logits = torch.tensor([-1.0, 3.0, 2.0], dtype=torch.double)
    sampler = Sampler(SamplingParams(repetition_penalty=2.0, logprobs=1))
    assert sampler.pick(logits, [1]).token_id == 2
    assert sampler.pick(logits, {0, 1, 2, 77, -3}).token_id == 1, "ids beyond it are left out"
    assert logits.tolist() == [-1.0, 3.0, 2.0]


@given(LOGITS, PARAMS, st.integers(0, 20))
def test_log_probabilities_are_the_models_own(
    values: list[float], given_params: dict[str, Any], number: int
) -> None:
    params = SamplingParams(**{"temperature": 0.7, "seed": 1, **given_params, "logprobs": number})
    logits = torch.tensor(values)
    choice = Sampler(params).pick(logits, [0])
    expected = logits.double().log_softmax(-1)
    assert choice.logprob == pytest.approx(expected[choice.token_id].item())
    assert [p for _, p in choice.top] == pytest.approx(sorted(expected.tolist())[::-1][:number])
    assert all(logprob == pytest.approx(expected[token].item()) for token, logprob in choice.top)


def test_impossible_tokens_are_not_told() -> None:
    choice = Sampler(SamplingParams(logprobs=5)).pick(torch.tensor([0.0, -math.inf, 0.0]))
    assert choice == Choice(0, math.log(0.5), ((0, math.log(0.5)), (2, math.log(0.5))))


# --- several answers in one step ------------------------------------------------------------------


def rows(logits: Sequence[Sequence[float]]) -> Tensor:
    return torch.tensor(logits, dtype=torch.bfloat16)


@given(
    st.lists(st.tuples(PARAMS, st.booleans(), st.integers(0, 9)), min_size=1, max_size=6),
    st.integers(2, 300),
)
def test_each_answer_of_a_step_is_as_if_it_were_alone(
    wanted: list[tuple[dict[str, Any], bool, int]], vocabulary: int
) -> None:
    every = [SamplingParams(**params, seed=seed) for params, _, seed in wanted]
    generator = torch.Generator().manual_seed(vocabulary)
    logits = torch.randn(len(every), vocabulary, generator=generator).bfloat16()
    logits[[broken for _, broken, _ in wanted], 0] = torch.nan
    seen = [[index, 1] for index in range(len(every))]
    together = choose_all([Sampler(params) for params in every], logits, seen)
    for params, row, ids, found in zip(every, logits, seen, together, strict=True):
        if row.isnan().any():
            assert isinstance(found, NotANumber)
        else:
            assert found == Sampler(params).pick(row, ids)


def test_a_broken_row_leaves_the_others_alone() -> None:
    inf = math.inf
    logits = rows([[1, 2, 0], [1, torch.nan, 0], [-inf] * 3, [1, inf, 0], [-inf, -1, -inf]])
    kinds = [type(choice) for choice in choose_all([Sampler(SamplingParams())] * 5, logits)]
    assert kinds == [Choice, NotANumber, NotANumber, NotANumber, Choice]
    for row in logits[1:4]:
        with pytest.raises(CoreError, match="32bit"):
            Sampler(SamplingParams(temperature=1)).pick(row)


class Counted(TorchDispatchMode):
    """Counts the tensor operations inside it."""

    number = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        self.number += 1
        return func(*args, **(kwargs or {}))


def test_many_greedy_answers_cost_as_many_operations_as_one() -> None:
    counts = []
    for number in (1, 32):
        samplers = [Sampler(SamplingParams()) for _ in range(number)]
        logits = torch.randn(number, 50)
        with Counted() as counted:
            choose_all(samplers, logits)
        counts.append(counted.number)
    assert counts[0] == counts[1]


def test_a_penalty_without_what_was_seen_is_a_mistake_of_the_caller() -> None:
    samplers = [Sampler(SamplingParams()), Sampler(SamplingParams(repetition_penalty=1.1))]
    with pytest.raises(ValueError, match="seen"):
        choose_all(samplers, torch.zeros(2, 3))
    with pytest.raises(ValueError):
        choose_all(samplers, torch.zeros(3, 3), [[], []])


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("temperature", [-1, math.nan, math.inf]),
        ("top_p", [0, 2, math.nan]),
        ("top_k", [-1, math.nan, math.inf]),
        ("min_p", [-0.1, 1.1, math.nan]),
        ("repetition_penalty", [0, -1, 0.001, 101, math.nan, math.inf]),
        ("max_tokens", [0, math.inf, math.nan]),
        ("seed", [2**63, -(2**63) - 1, math.nan]),
        ("logprobs", [-1, 21, math.nan]),
    ],
)
def test_values_out_of_range(field: str, values: list[float]) -> None:
    for value in values:
        with pytest.raises(ValueError, match=f"{field} must be"):
            SamplingParams(**{field: value})  # type: ignore[arg-type]


def test_values_at_the_limits() -> None:
    for seed in (-(2**63), 2**63 - 1):
        params = SamplingParams(
            temperature=1, top_p=1, top_k=10**12, min_p=1, repetition_penalty=100, seed=seed
        )
        choice = Sampler(params).pick(torch.tensor([3.0e38, -3.0e38, 2.0]), [0, 1])
        assert choice.token_id == 0
