"""Muon: an optimizer that makes the steps of convolution filters orthogonal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the polynomial of an iteration, which brings singular values in (0, 1] close to 1."""

ITERATIONS = 3


class Muon(torch.optim.SGD):
    """Orthogonal steps for convolution filters, SGD with Nesterov momentum for other weights.

    Filters (m, c, h, w) count as a matrix G of m rows. With momentum b, learning rate r and
    gradient G, a step is

        B <- b B + G,    W <- sqrt(m) W / |W| - r orthogonal(G + b B)

    so that filters keep their norm, in place of weight decay (Jordan et al., "Muon: An optimizer
    for hidden layers in neural networks", 2024, https://kellerjordan.github.io/posts/muon/).

    Args:
        weights: of a module.
        learning_rate: of filters.
        momentum: of filters.
        other_rate: learning rate of other weights.
        other_momentum: their momentum.
        weight_decay: of matrices; neither filters nor biases decay.
    """

    def __init__(
        self,
        weights: Iterable[Tensor],
        *,
        learning_rate: float,
        momentum: float,
        other_rate: float,
        other_momentum: float,
        weight_decay: float,
    ) -> None:
        kinds: dict[int, list[Tensor]] = {4: [], 2: [], 1: []}
        for weight in weights:
            kinds[weight.ndim].append(weight)
        groups: list[dict[str, Any]] = [
            {"params": kinds[4], "lr": learning_rate, "momentum": momentum},
            {"params": kinds[2], "weight_decay": weight_decay},
            {"params": kinds[1]},
        ]
        super().__init__(groups, lr=other_rate, momentum=other_momentum, nesterov=True)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Take a step, and forget the gradients of filters."""
        filters = self.param_groups[0]
        for weight in filters["params"]:
            gradient = weight.grad
            if gradient is None:
                continue
            state = self.state[weight]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(weight)
            kept = state["momentum_buffer"].mul_(filters["momentum"]).add_(gradient)
            ahead = gradient.add(kept, alpha=filters["momentum"])
            weight.mul_(len(weight) ** 0.5 / weight.norm())
            weight.sub_(filters["lr"] * orthogonal(ahead.flatten(1)).view_as(weight))
            weight.grad = None  # which SGD passes over
        return super().step(closure)


def orthogonal(matrix: Tensor) -> Tensor:
    """Return about the nearest matrix of orthonormal rows or columns, by Newton-Schulz steps.

    Its singular values are between 0.3 and 1.3, unless those of the matrix differ very much.
    """
    wide = matrix.shape[0] <= matrix.shape[1]
    x: Tensor = matrix if wide else matrix.T
    x = x / (x.norm() + 1e-7)
    a, b, c = COEFFICIENTS
    # Iterations, x <- (a + b x x' + c (x x')^2) x, are gathered in a matrix of the shorter side.
    gram = x @ x.T
    identity = torch.eye(len(x), device=x.device)
    gathered = identity
    for _ in range(ITERATIONS):
        step = a * identity + b * gram + c * gram @ gram
        gathered = step @ gathered
        gram = step @ gram @ step
    x = gathered @ x
    return x if wide else x.T
