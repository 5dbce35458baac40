"""The range of scores that figures show: outliers and far sets do not squash the ID scores."""

from __future__ import annotations

import numpy as np
import pytest

from oodbench.contracts import score_range

SCORES = np.linspace(0, 1, 1000)


def test_a_single_outlier_does_not_stretch_the_range() -> None:
    scores = np.r_[SCORES, 1e6]
    low, high = score_range(scores, scores + 1)
    assert -0.1 < low < 0.01
    assert 1.99 < high < 2.1


@pytest.mark.parametrize("far", [1e6, -1e6])
def test_a_far_set_leaves_the_id_scores_a_quarter_of_the_range(far: float) -> None:
    low, high = score_range(SCORES, SCORES + far)
    assert low < 0.005
    assert high > 0.995
    assert 0.99 / (high - low) > 0.22


def test_constant_scores_have_a_range() -> None:
    low, high = score_range(np.ones(5))
    assert low < 1 < high
