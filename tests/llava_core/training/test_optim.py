"""Optimisers do what their formulas say."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from llava_core.training.optim import Muon, cosine, muon_and_adamw, orthogonalise


@pytest.mark.parametrize("shape", [(8, 20), (20, 8), (12, 12)])
def test_orthogonalise_brings_singular_values_near_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
    assert values.min() > 0.3 and values.max() < 1.4


def test_muon_and_adamw_fit_a_linear_map() -> None:
    torch.manual_seed(0)
    target, inputs = torch.randn(6, 4), torch.randn(64, 4)
    model = nn.Linear(4, 6)
    optimisers = muon_and_adamw([model.weight], [model.bias], muon_lr=0.05, adam_lr=0.01)
    losses = []
    for _ in range(150):
        loss = ((model(inputs) - inputs @ target.T) ** 2).mean()
        losses.append(loss.item())
        loss.backward()
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
    assert isinstance(optimisers[0], Muon) and losses[-1] < 0.02 * losses[0]


def test_the_learning_rate_warms_up_and_falls() -> None:
    rates = [cosine(step / 100) for step in range(101)]
    assert rates[0] == pytest.approx(0.01) and max(rates) == pytest.approx(1.0, abs=0.01)
    assert rates[100] == pytest.approx(0.02) and rates[51] == pytest.approx(0.51, abs=0.03)
    assert all(a >= b for a, b in itertools.pairwise(rates[3:]))
