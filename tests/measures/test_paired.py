"""Check paired comparisons against their definition, and that their intervals cover the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from oodbench.measures.intervals import auroc_interval
from oodbench.measures.metrics import auroc
from oodbench.measures.paired import (
    Components,
    Estimate,
    add_run_variance,
    components,
    covariance,
    delong_test,
    independent_runs,
    mean_components,
    side_by_side,
    two_sided_p,
)


def paired_scores(random: np.random.Generator, n: int, m: int) -> list[Components]:
    """Return two detectors whose scores of an image have a correlation of one half.

    The true AUROCs are those of normal scores whose means differ by 1.0 and 1.5.
    """
    known, unknown = (random.normal(0, math.sqrt(0.5), (2, size)) for size in (n, m))
    shared_known, shared_unknown = (random.normal(0, math.sqrt(0.5), size) for size in (n, m))
    return [
        components(known[number] + shared_known, [unknown[number] + shared_unknown + shift])
        for number, shift in enumerate((1.0, 1.5))
    ]


def true_area(shift: float) -> float:
    return float(norm.cdf(shift / math.sqrt(2)))


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_areas_are_aurocs(decimals: int) -> None:
    random = np.random.default_rng(decimals)
    known = random.normal(0, 1, 50).round(decimals)
    unknown = [random.normal(shift, 1, 40).round(decimals) for shift in (0.5, 2)]
    expected = [auroc(known, each) for each in unknown]
    found = components(known, unknown)
    assert found.areas == pytest.approx(expected, abs=1e-12)
    assert found.known.mean(axis=1) == pytest.approx(expected, abs=1e-12)
    assert found.area == pytest.approx(np.mean(expected))
    assert found.select([1]).area == pytest.approx(expected[1])


def test_the_variance_on_one_set_is_that_of_the_interval() -> None:
    random = np.random.default_rng(1)
    known, unknown = random.normal(0, 1, 60), random.normal(1, 1, 80)
    found = components(known, [unknown])
    estimate = Estimate(found.area, float(covariance([found])[0, 0]))
    assert estimate.area_interval() == pytest.approx(auroc_interval(known, unknown), abs=1e-9)


def test_the_variance_of_a_mean_over_sets_is_that_of_many_simulations() -> None:
    random = np.random.default_rng(2)
    areas, variances = [], []
    for _ in range(800):
        found = components(
            random.normal(0, 1, 50), [random.normal(shift, 1, 40) for shift in (0.5, 1, 1.5)]
        )
        areas.append(found.area)
        variances.append(float(covariance([found])[0, 0]))
    assert np.mean(variances) == pytest.approx(np.var(areas, ddof=1), rel=0.15)


def test_a_detector_does_not_differ_from_itself() -> None:
    (found, _) = paired_scores(np.random.default_rng(3), 30, 30)
    difference = delong_test(found, found)
    assert (difference.value, difference.p_value) == (0.0, 1.0)


def test_a_paired_test_sees_more_than_two_intervals() -> None:
    random = np.random.default_rng(4)
    known, unknown = random.normal(0, 1, 400), random.normal(1, 1, 400)
    worse = components(known, [unknown])
    better = components(known + random.normal(0, 0.02, 400), [unknown + 0.05])
    difference = delong_test(better, worse)
    reach = math.sqrt(float(covariance([worse])[0, 0]))
    assert difference.value < reach
    assert difference.p_value < 1e-6


def test_scores_of_other_images_are_refused() -> None:
    random = np.random.default_rng(5)
    first, _ = paired_scores(random, 10, 10)
    other, _ = paired_scores(random, 10, 11)
    with pytest.raises(ValueError, match="the same images"):
        delong_test(first, other)


def test_components_of_runs_are_averaged() -> None:
    first, second = paired_scores(np.random.default_rng(6), 20, 30)
    assert mean_components([first, second]).area == pytest.approx((first.area + second.area) / 2)


def test_separated_scores_have_no_variance_and_differ_for_sure() -> None:
    perfect = components(np.zeros(5), [np.ones(5)])
    constant = components(np.zeros(5), [np.zeros(5)])
    assert delong_test(perfect, constant).p_value == 0.0
    assert Estimate(perfect.area, 0.0).area_interval() == (1.0, 1.0)


def test_many_p_values_are_those_of_single_estimates() -> None:
    differences = np.array([0.0, 0.1, -0.1, 0.0, 0.2])
    variances = np.array([1e-3, 1e-3, 4e-3, 0.0, 0.0])
    single = [Estimate(*pair).p_value for pair in zip(differences, variances, strict=True)]
    assert two_sided_p(differences, variances) == pytest.approx(single)


def test_runs_widen_an_interval_and_cost_degrees_of_freedom() -> None:
    images = Estimate(0.9, 1e-4)
    assert add_run_variance(images, [0.5], [1]) == images
    both = add_run_variance(images, [4e-4], [4])
    assert both.variance == pytest.approx(2e-4)
    assert both.freedom == pytest.approx(12)  # (2e-4)**2 / ((1e-4)**2 / 3)
    low, high = both.area_interval()
    assert low < images.area_interval()[0]
    assert high > images.area_interval()[1]


@pytest.mark.parametrize("repetitions", [500, pytest.param(2000, marks=pytest.mark.slow)])
def test_paired_intervals_cover_the_true_difference(repetitions: int) -> None:
    random = np.random.default_rng(7)
    truth = true_area(1.5) - true_area(1.0)
    covered = 0
    for _ in range(repetitions):
        first, second = paired_scores(random, 80, 70)
        low, high = delong_test(second, first).interval()
        covered += low < truth < high
    tolerance = 0.02 if repetitions == 2000 else 0.03
    assert covered / repetitions == pytest.approx(0.95, abs=tolerance)


@pytest.mark.slow
def test_delongs_intervals_cover_the_true_area_in_2000_simulations() -> None:
    random = np.random.default_rng(8)
    for shift in (0.3, 1.0, 2.0):
        covered = 0
        for _ in range(2000):
            low, high = auroc_interval(random.normal(0, 1, 100), random.normal(shift, 1, 80))
            covered += low < true_area(shift) < high
        assert 0.93 <= covered / 2000 <= 0.97


def test_p_values_are_uniform_where_detectors_are_alike() -> None:
    random = np.random.default_rng(9)
    rejected = 0
    for _ in range(500):
        shared = [random.normal(shift, 1, 60) for shift in (0, 1)]
        first, second = (
            components(*(values[0], [values[1]]))
            for values in ([part + random.normal(0, 1, 60) for part in shared] for _ in range(2))
        )
        rejected += delong_test(first, second).p_value < 0.05
    assert rejected / 500 == pytest.approx(0.05, abs=0.03)


def test_runs_on_one_classifier_are_not_independent_of_each_other() -> None:
    seeds = {(0, 0): 0.9, (0, 1): 0.8}
    assert independent_runs(seeds) == seeds
    several = independent_runs({**seeds, (1, 0): 0.6, (1, 1): 0.5})
    assert several == pytest.approx({(0, None): 0.85, (1, None): 0.55})


@pytest.mark.parametrize("freedom", [3.0, math.inf])
@pytest.mark.parametrize("together", [1, 7, 224])
def test_intervals_that_hold_together_exclude_0_where_the_corrected_test_rejects(
    freedom: float, together: int
) -> None:
    for value in np.linspace(0, 40, 400):
        estimate = Estimate(float(value), 1.0, freedom)
        low, _ = estimate.interval(together)
        assert (low > 0) == (together * estimate.p_value < 0.05)


def test_folds_side_by_side_have_the_mean_and_the_variance_of_independent_ones() -> None:
    random = np.random.default_rng(5)
    folds = [
        components(random.normal(0, 1, n), [random.normal(1, 1, m)])
        for n, m in ((300, 500), (200, 400), (100, 900))
    ]
    together = side_by_side(folds)
    np.testing.assert_allclose(together.areas, [fold.area for fold in folds])
    expected = sum(float(covariance([fold])[0, 0]) for fold in folds) / 9
    assert float(covariance([together])[0, 0]) == pytest.approx(expected, rel=0.02)
