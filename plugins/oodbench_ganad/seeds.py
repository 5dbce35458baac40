"""Generator seeds by their Chebyshev norm, the paper's measure of how anomalous an image is.

A seed is a vector n of N standard normal numbers and its norm is max |n_i| (section 2). The paper
does not say how seeds of a given norm are drawn; here it is decided once:

* `draw_fakes`: seeds of fakes are standard normal seeds, given that their norm is below 5. This is
  what the generator is trained on (``n_F`` of equation (6)), and all but 4 in 100,000 standard
  normal seeds of length 64 are such seeds.
* `draw_norms`: seeds with a norm in an interval have the direction of a standard normal seed
  and a norm that is uniform in the interval. That is how the paper's Figures 2, 3 and 14 make a
  seed grow: "the same random seed, modifying their norm".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from oodbench.contracts import Context

FAKE_NORM = 5.0
"""r_A of the paper: seeds with a smaller norm give fakes, seeds with a larger one anomalies."""

NEAR_ANOMALY_NORMS = (5.0, 6.0)
"""Norms of the near anomalies that AD is trained on (section 4.4)."""

TEST_ANOMALY_NORMS = (6.0, 7.0)
"""Norms of the near anomalies that detectors are tested on (section 4.1.3)."""


def chebyshev_norm(seeds: Tensor) -> Tensor:
    """Return max |n_i| of each seed: (n, N) to (n,)."""
    return seeds.abs().amax(dim=1)


def norm_density(norm: Tensor, length: int) -> Tensor:
    """Return the density of the Chebyshev norm of a standard normal seed, the paper's Figure 1.

    With F(x) = P(|n_i| < x) = erf(x / sqrt 2), the norm of N coordinates has the density
    d/dx F(x)^N = N sqrt(2 / pi) exp(-x^2 / 2) F(x)^(N - 1).

    Equation (1) as printed has P(n_i < x) = 1/2 + 1/2 erf(x / sqrt 2) in place of F(x): it is the
    density of the largest coordinate, not of the largest absolute value, and lies lower by about
    0.25 at N = 64. The tests hold both against samples.

    Args:
        norm: norms of any shape, at least 0.
        length: N, the length of the seed.
    """
    below = torch.erf(norm / math.sqrt(2))
    return length * math.sqrt(2 / math.pi) * torch.exp(-(norm**2) / 2) * below ** (length - 1)


def draw_fakes(count: int, length: int, generator: torch.Generator) -> Tensor:
    """Draw seeds of fakes: standard normal, given that the norm is at most 5.

    The condition holds for a seed when it holds for each coordinate, so that drawing coordinates
    from the truncated normal distribution is exact.

    Args:
        count: number of seeds n.
        length: length N of a seed.
        generator: draws them; its device is the seeds' device.

    Returns:
        (n, N) float32.
    """
    seeds = torch.empty(count, length, device=generator.device)
    return nn.init.trunc_normal_(seeds, a=-FAKE_NORM, b=FAKE_NORM, generator=generator)


def draw_norms(
    count: int, length: int, norms: tuple[float, float], generator: torch.Generator
) -> Tensor:
    """Draw seeds in random directions with norms that are uniform in an interval.

    Args:
        count: number of seeds n.
        length: length N of a seed.
        norms: smallest and largest norm.
        generator: draws them; its device is the seeds' device.

    Returns:
        (n, N) float32.
    """
    device = generator.device
    low, high = norms
    directions = torch.randn(count, length, device=device, generator=generator)
    sizes = low + (high - low) * torch.rand(count, device=device, generator=generator)
    return rescale(directions, sizes)


def rescale(seeds: Tensor, norms: Tensor) -> Tensor:
    """Return seeds of the same directions with the given norms: (n, N) and (n,) to (n, N)."""
    return seeds * (norms / chebyshev_norm(seeds))[:, None]


def device_generator(context: Context, stream: int) -> torch.Generator:
    """Return a generator on the context's device, so that seeds never wait for a copy.

    Args:
        context: gives device and seed.
        stream: tells the generators of one fit apart.
    """
    start = context.generator(stream).initial_seed()
    return torch.Generator(device=context.device).manual_seed(start)
