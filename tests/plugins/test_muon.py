"""Muon takes orthogonal steps for filters, and SGD's for other weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from oodbench_classifiers.muon import Muon, orthogonal


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.Flatten(), nn.Linear(96, 3))


def muon(module: nn.Module, rate: float = 0.2) -> Muon:
    return Muon(
        module.parameters(),
        learning_rate=rate,
        momentum=0.6,
        other_rate=0.1,
        other_momentum=0.9,
        weight_decay=0.01,
    )


def learn(module: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> list[torch.Tensor]:
    """Take steps, and return the gradients of the first weight."""
    images = torch.rand(8, 2, 4, 4, generator=torch.Generator().manual_seed(1))
    gradients = []
    for _ in range(steps):
        optimizer.zero_grad()
        (module(images) ** 2).mean().backward()
        gradients.append(next(module.parameters()).grad.clone())
        optimizer.step()
    return gradients


@pytest.mark.parametrize("shape", [(5, 20), (20, 5), (7, 7)])
def test_singular_values_are_brought_near_one(shape: tuple[int, int]) -> None:
    given = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, values, right = torch.linalg.svd(orthogonal(given), full_matrices=False)
    assert values.max() < 1.3
    assert values.median() > 0.6
    expected = torch.linalg.svd(given, full_matrices=False)
    nearest = expected[0] @ expected[2]
    assert (
        torch.nn.functional.cosine_similarity((left @ right).flatten(), nearest.flatten(), 0) > 0.99
    )


def test_iterations_are_those_of_the_formula() -> None:
    given = torch.randn(6, 30, generator=torch.Generator().manual_seed(0)).double()
    x = given / given.norm()
    for _ in range(3):
        square = x @ x.T
        x = 3.4445 * x - 4.7750 * square @ x + 2.0315 * square @ square @ x
    assert torch.allclose(orthogonal(given.float()).double(), x, atol=1e-5)


def test_steps_of_filters_are_those_of_the_formula() -> None:
    module = network()
    weight = module[0].weight.detach().clone()
    gradients = learn(module, muon(module), 3)
    kept = torch.zeros_like(weight)
    for gradient in gradients:
        kept = 0.6 * kept + gradient
        step = orthogonal((gradient + 0.6 * kept).reshape(6, 18)).reshape(weight.shape)
        weight = 6**0.5 * weight / weight.norm() - 0.2 * step
    assert torch.allclose(module[0].weight, weight, atol=1e-6)


def test_other_weights_take_the_steps_of_sgd() -> None:
    ours, theirs = network(), network()
    for module in (ours, theirs):
        module[0].weight.requires_grad_(False)
    groups = [
        {"params": [theirs[2].weight], "weight_decay": 0.01},
        {"params": [theirs[0].bias, theirs[2].bias]},
    ]
    for module, optimizer in (
        (ours, muon(ours)),
        (theirs, torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True)),
    ):
        images = torch.rand(8, 2, 4, 4, generator=torch.Generator().manual_seed(1))
        for _ in range(3):
            optimizer.zero_grad()
            (module(images) ** 2).mean().backward()
            optimizer.step()
    for found, expected in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(found, expected, atol=1e-7)
