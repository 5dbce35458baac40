"""The quality of a generator's images is measured as the literature does."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from oodbench_ganad.quality import frechet_distance, measure


@pytest.fixture
def draws():
    return np.random.default_rng(0)


def test_the_distance_of_features_to_themselves_is_0(draws):
    features = draws.normal(size=(50, 4))
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-9)


def test_a_shift_counts_by_its_squared_length(draws):
    features = draws.normal(size=(50, 4))
    assert frechet_distance(features, features + np.array([3, 4, 0, 0])) == pytest.approx(25)


def test_a_factor_counts_by_the_squared_difference_of_standard_deviations(draws):
    features = draws.normal(size=(50, 3))
    centred = features - features.mean(axis=0)
    assert frechet_distance(centred, 3 * centred) == pytest.approx(
        4 * centred.var(axis=0, ddof=1).sum()
    )


def test_the_distance_is_that_of_the_formula_with_a_matrix_root(draws):
    first = draws.normal(size=(80, 5)) @ draws.normal(size=(5, 5))
    second = draws.normal(size=(90, 5)) @ draws.normal(size=(5, 5)) + draws.normal(size=5)
    a, b = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    expected = ((first.mean(axis=0) - second.mean(axis=0)) ** 2).sum() + np.trace(
        a + b - 2 * np.real(sqrtm(a @ b))
    )
    assert frechet_distance(first, second) == pytest.approx(expected)


def test_features_that_are_never_active_do_no_harm(draws):
    first, second = draws.normal(size=(2, 60, 4)) * [1, 1, 0, 0]
    alone = frechet_distance(first[:, :2], second[:, :2])
    assert frechet_distance(first, second) == pytest.approx(alone)


def test_accuracy_counts_images_classified_as_what_they_were_made_for(draws):
    logits = np.eye(3)[[0, 1, 2, 2]]
    features, real = draws.normal(size=(2, 4, 2))
    assert measure(logits, np.array([0, 1, 2, 0]), features, real).accuracy == 0.75
