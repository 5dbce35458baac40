"""Seeds have the norms and the distributions that the paper speaks of."""

import math

import pytest
import torch
from scipy import integrate, stats

from oodbench_ganad import seeds


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_norm_is_the_largest_absolute_coordinate():
    norms = seeds.chebyshev_norm(torch.tensor([[0.5, -3.0, 1.0], [0.0, 0.0, 0.0]]))
    assert norms.tolist() == [3.0, 0.0]


@pytest.mark.parametrize("length", [1, 64, 128])
def test_the_density_integrates_to_one(length):
    def density(x):
        return seeds.norm_density(torch.tensor(x, dtype=torch.float64), length).item()

    area, _ = integrate.quad(density, 0, 9)
    assert area == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("length", [64, 128])
def test_norms_of_fakes_follow_the_density(length):
    norms = seeds.chebyshev_norm(seeds.draw_fakes(20_000, length, draws()))
    counts, edges = torch.histogram(norms, bins=20, range=(1.5, 4.5))
    middles = (edges[:-1] + edges[1:]) / 2
    expected = seeds.norm_density(middles, length) * 0.15 * 20_000
    torch.testing.assert_close(counts, expected, rtol=0.05, atol=5 * math.sqrt(expected.max()))


def test_equation_1_as_printed_is_the_density_of_the_largest_coordinate():
    length = 64

    def printed(x):  # N / sqrt(2 pi) exp(-x^2 / 2) (1/2 + 1/2 erf(x / sqrt 2))^(N - 1)
        return length * stats.norm.pdf(x) * stats.norm.cdf(x) ** (length - 1)

    sample = seeds.draw_fakes(20_000, length, draws())
    mean, _ = integrate.quad(lambda x: x * printed(x), -9, 9)
    assert sample.amax(dim=1).mean().item() == pytest.approx(mean, abs=0.02)
    assert seeds.chebyshev_norm(sample).mean().item() > mean + 0.2


def test_coordinates_of_fakes_are_standard_normal():
    sample = seeds.draw_fakes(2_000, 64, draws()).flatten().double()
    assert stats.kstest(sample.numpy(), "norm").pvalue > 0.01


def test_fakes_have_norms_up_to_five():
    assert seeds.chebyshev_norm(seeds.draw_fakes(50_000, 64, draws())).max() <= 5


def test_rescaling_keeps_the_direction():
    before = torch.tensor([[1.0, -2.0], [3.0, 0.5]])
    after = seeds.rescale(before, torch.tensor([6.0, 1.5]))
    torch.testing.assert_close(after, torch.tensor([[3.0, -6.0], [1.5, 0.25]]))


def test_drawn_norms_are_uniform_in_the_interval():
    norms = seeds.chebyshev_norm(seeds.draw_norms(20_000, 64, (5.0, 6.0), draws()))
    assert stats.kstest(norms.double().numpy(), stats.uniform(5, 1).cdf).pvalue > 0.01


def test_the_same_generator_state_draws_the_same_seeds():
    first, second = (seeds.draw_norms(5, 64, (5, 6), draws(3)) for _ in range(2))
    assert torch.equal(first, second)
