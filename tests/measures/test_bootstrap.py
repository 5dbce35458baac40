"""Check the bootstrap against plain resampling, DeLong's variance and the true area."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from oodbench.measures import bootstrap
from oodbench.measures.bootstrap import bootstrap_auroc, percentile_interval
from oodbench.measures.metrics import auroc
from oodbench.measures.paired import components, covariance, delong_test


def draws(size: int, count: int, random: np.random.Generator) -> np.ndarray:
    """Return how often each image is drawn, as the bootstrap does."""
    return bootstrap._draw(size, count, random)


@pytest.mark.parametrize("decimals", [0, 8])
def test_a_sample_has_the_auroc_of_the_images_drawn(decimals: int) -> None:
    random = np.random.default_rng(decimals)
    known = random.normal(0, 1, (2, 30)).round(decimals)
    unknown = [[random.normal(1, 1, size).round(decimals) for size in (20, 25)] for _ in range(2)]
    areas = bootstrap_auroc(known, unknown, samples=5, seed=4)
    (block,) = np.random.SeedSequence(4).spawn(1)
    generator = np.random.default_rng(block)
    counts = [draws(size, 5, generator).astype(int) for size in (30, 20, 25)]
    for sample in range(5):
        for detector in range(2):
            for number in range(2):
                drawn = np.repeat(known[detector], counts[0][:, sample])
                other = np.repeat(unknown[detector][number], counts[1 + number][:, sample])
                expected = auroc(drawn, other)
                assert areas[sample, detector, number] == pytest.approx(expected, abs=1e-6)


def test_every_sample_draws_as_many_images_as_there_are() -> None:
    counts = draws(17, 9, np.random.default_rng(0))
    assert counts.shape == (17, 9)
    assert (counts.sum(axis=0) == 17).all()


def test_neither_threads_nor_repetition_change_the_result() -> None:
    random = np.random.default_rng(1)
    known, unknown = random.normal(0, 1, (1, 40)), [[random.normal(1, 1, 40)]]
    one = bootstrap_auroc(known, unknown, samples=200, seed=3)
    assert one.shape == (200, 1, 1)
    assert np.array_equal(one, bootstrap_auroc(known, unknown, samples=200, seed=3, threads=2))
    assert not np.array_equal(one, bootstrap_auroc(known, unknown, samples=200, seed=4))


def test_the_spread_of_a_difference_is_delongs() -> None:
    random = np.random.default_rng(2)
    shared_known, shared_unknown = random.normal(0, 1, 150), random.normal(1, 1, 120)
    known = [shared_known + random.normal(0, 0.5, 150) for _ in range(2)]
    unknown = [[shared_unknown + random.normal(0, 0.5, 120)] for _ in range(2)]
    areas = bootstrap_auroc(known, unknown, samples=4000)
    first, second = (components(own, sets) for own, sets in zip(known, unknown, strict=True))
    difference = areas[:, 0, 0] - areas[:, 1, 0]
    assert difference.var() == pytest.approx(delong_test(first, second).variance, rel=0.15)
    assert areas[:, 0, 0].var() == pytest.approx(float(covariance([first])[0, 0]), rel=0.15)


def test_detectors_on_different_images_are_refused() -> None:
    with pytest.raises(ValueError, match="the same images"):
        bootstrap_auroc([np.arange(3.0), np.arange(4.0)], [[np.arange(3.0)]] * 2, samples=2)


@pytest.mark.slow
def test_percentile_intervals_cover_the_true_area_in_2000_simulations() -> None:
    random = np.random.default_rng(5)
    truth, covered = norm.cdf(1 / math.sqrt(2)), 0
    for number in range(2000):
        known, unknown = random.normal(0, 1, 100), random.normal(1, 1, 100)
        areas = bootstrap_auroc([known], [[unknown]], samples=1000, seed=number)
        low, high = percentile_interval(areas[:, 0, 0])
        covered += low < truth < high
    assert 0.93 <= covered / 2000 <= 0.97
