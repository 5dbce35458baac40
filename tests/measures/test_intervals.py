"""Check intervals against their definitions and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm, t

from oodbench.measures.intervals import auroc_interval, over_seeds
from oodbench.measures.metrics import auroc


def interval_by_definition(id_scores: np.ndarray, ood_scores: np.ndarray) -> tuple[float, float]:
    """Return DeLong's interval on the logit scale from all n m pairs."""
    wins = (ood_scores[None, :] > id_scores[:, None]) + 0.5 * (
        ood_scores[None, :] == id_scores[:, None]
    )
    area = wins.mean()
    variance = wins.mean(1).var(ddof=1) / len(id_scores) + wins.mean(0).var(ddof=1) / len(
        ood_scores
    )
    centre = math.log(area / (1 - area))
    reach = norm.ppf(0.975) * math.sqrt(variance) / (area - area**2)
    return 1 / (1 + math.exp(reach - centre)), 1 / (1 + math.exp(-reach - centre))


@pytest.mark.parametrize("decimals", [0, 1, 8])
@pytest.mark.parametrize(("n", "m"), [(3, 4), (40, 7), (150, 200)])
def test_is_delongs_interval(n: int, m: int, decimals: int) -> None:
    random = np.random.default_rng(n + decimals)
    id_scores = np.append(random.normal(0, 1, n - 1), 3.0).round(decimals)
    ood_scores = np.append(random.normal(1, 1, m - 1), -3.0).round(decimals)
    assert auroc_interval(id_scores, ood_scores) == pytest.approx(
        interval_by_definition(id_scores, ood_scores), abs=1e-12
    )


def test_covers_the_true_area_in_95_of_100_samples() -> None:
    random = np.random.default_rng(0)
    shift, samples = 1.5, 2000
    truth = norm.cdf(shift / math.sqrt(2))
    covered = 0
    for _ in range(samples):
        low, high = auroc_interval(random.normal(0, 1, 60), random.normal(shift, 1, 45))
        covered += low < truth < high
    # The standard error of the share is 0.5 %.
    assert 0.93 <= covered / samples <= 0.97


def test_stays_inside_zero_and_one_near_the_edge() -> None:
    known, unknown = np.arange(30.0), np.append(np.arange(100.0, 129.0), 28.5)
    low, high = auroc_interval(known, unknown)
    assert 0 < low < auroc(known, unknown) < high < 1


@pytest.mark.parametrize("sizes", [(10, 400), (400, 10)])
def test_separated_scores_get_the_exact_bound_of_the_smaller_set(sizes: tuple[int, int]) -> None:
    known, unknown = np.zeros(sizes[0]), np.ones(sizes[1])
    low, high = auroc_interval(known, unknown)
    # Ten successes in ten trials have a chance of 2.5 % at this probability.
    assert low**10 == pytest.approx(0.025)
    assert high == 1.0
    assert auroc_interval(unknown, known) == pytest.approx((0.0, 1 - low))


def test_a_single_image_leaves_everything_open() -> None:
    assert auroc_interval(np.array([0.0, 2.0, 3.0]), np.array([1.0])) == (0.0, 1.0)


def test_constant_scores_have_an_interval_of_no_width() -> None:
    assert auroc_interval(np.zeros(5), np.zeros(7)) == (0.5, 0.5)


def test_needs_scores_of_both_kinds() -> None:
    with pytest.raises(ValueError, match="there are no OOD scores"):
        auroc_interval(np.zeros(5), np.array([]))


def test_summary_over_seeds_has_the_sample_deviation_and_students_interval() -> None:
    values = [0.9, 0.95, 0.85, 0.97]
    summary = over_seeds(values)
    assert summary.count == 4
    assert summary.mean == pytest.approx(np.mean(values))
    assert summary.std == pytest.approx(np.std(values, ddof=1))
    expected = t.interval(0.95, 3, loc=np.mean(values), scale=np.std(values, ddof=1) / 2)
    assert (summary.low, summary.high) == pytest.approx(expected)


def test_equal_values_deviate_by_nothing() -> None:
    summary = over_seeds([0.1] * 7)
    assert (summary.mean, summary.std, summary.low, summary.high) == (0.1, 0.0, 0.1, 0.1)


def test_one_value_has_no_deviation() -> None:
    summary = over_seeds([0.9])
    assert (summary.count, summary.mean) == (1, 0.9)
    assert all(math.isnan(value) for value in (summary.std, summary.low, summary.high))


def test_no_value_has_no_mean() -> None:
    assert over_seeds([]).count == 0
    assert math.isnan(over_seeds([]).mean)
