"""Check corrections, ranks with ties and Friedman's test against worked examples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import friedmanchisquare

from oodbench.measures.ranks import friedman, holm, tied_ranks


def test_holm_multiplies_by_the_number_that_is_left() -> None:
    # Sorted: 0.005 * 4, 0.01 * 3, 0.03 * 2, 0.04 * 1 raised to the one before it.
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_stays_at_one() -> None:
    assert holm(np.array([0.9, 0.8])) == pytest.approx([1.0, 1.0])
    assert holm(np.array([])).shape == (0,)


def test_unsupported_differences_share_a_rank() -> None:
    values = [0.7, 0.9, 0.89, 0.6]
    adjusted = np.ones((4, 4))
    for first, second in ((1, 0), (1, 3), (2, 0), (2, 3)):
        adjusted[first, second] = adjusted[second, first] = 0.001
    assert tied_ranks(values, adjusted) == [3, 1, 1, 3]


def test_supported_differences_are_places() -> None:
    assert tied_ranks([0.1, 0.3, 0.2], np.zeros((3, 3))) == [3, 1, 2]


def test_friedman_is_scipys_with_demsars_critical_difference() -> None:
    values = np.random.default_rng(0).normal(0, 1, (4, 14))
    found = friedman(values)
    assert (found.statistic, found.p_value) == pytest.approx(friedmanchisquare(*values))
    # Demsar, JMLR 2006, section 3.2.4: 14 data sets and 4 classifiers have CD = 1.25.
    assert found.critical_difference == pytest.approx(1.25, abs=0.005)
    assert found.mean_ranks.sum() == pytest.approx(10)


def test_the_best_detector_has_rank_one() -> None:
    values = np.array([[0.9, 0.8, 0.9], [0.5, 0.6, 0.9], [0.1, 0.2, 0.3]])
    assert friedman(values).mean_ranks == pytest.approx([(1 + 1 + 1.5) / 3, (2 + 2 + 1.5) / 3, 3])


def test_two_detectors_have_ranks_but_no_test() -> None:
    found = friedman(np.array([[0.9, 0.8], [0.5, 0.6]]))
    assert found.mean_ranks == pytest.approx([1, 2])
    assert math.isnan(found.p_value)
