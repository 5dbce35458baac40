"""Detectors against their formulas, written in numpy from the papers."""

import math

import numpy as np
import pytest
import torch
from formulas import (
    BIAS,
    CLASSES,
    LABELS,
    SCORED,
    TRAIN,
    WEIGHT,
    logits_of,
    scores_of,
    softmax,
    unit,
)

from oodbench.contracts import Batch, InvalidParameter
from oodbench_posthoc.cosine import CosineSimilarity
from oodbench_posthoc.doctor import Doctor
from oodbench_posthoc.mahalanobis_pp import NormalisedMahalanobis
from oodbench_posthoc.margin import Margin
from oodbench_posthoc.residual import Residual
from oodbench_posthoc.rmd_pp import NormalisedRelativeMahalanobis


def agree(detector, expected, rtol=1e-6):
    """Compare up to the rounding of the features and logits, which are float32."""
    np.testing.assert_allclose(scores_of(detector), expected, rtol=rtol, atol=1e-9)


@pytest.mark.parametrize("dimension", [None, 3])
def test_residual_is_what_the_principal_space_leaves(dimension):
    origin = -np.linalg.pinv(WEIGHT) @ BIAS
    centred = TRAIN.astype(np.float64) - origin
    directions = np.linalg.svd(centred, full_matrices=True).Vh[dimension or 5 :]
    expected = np.linalg.norm((SCORED.astype(np.float64) - origin) @ directions.T, axis=1)
    agree(Residual(dimension=dimension), expected)


def test_mahalanobis_of_normalised_features():
    values, scored = unit(TRAIN), unit(SCORED)
    means = np.stack([values[y == LABELS].mean(axis=0) for y in range(CLASSES)])
    within = np.cov(values - means[LABELS], rowvar=False, bias=True)
    away = scored[:, None] - means
    distances = np.einsum("nkd,de,nke->nk", away, np.linalg.pinv(within, hermitian=True), away)
    agree(NormalisedMahalanobis(), distances.min(axis=1) / 2)
    total = np.cov(values, rowvar=False, bias=True)
    away = scored - values.mean(axis=0)
    of_all = np.einsum("nd,de,ne->n", away, np.linalg.pinv(total, hermitian=True), away)
    agree(NormalisedRelativeMahalanobis(), distances.min(axis=1) - of_all)


def test_the_length_of_the_features_does_not_matter_to_mahalanobis_pp():
    scores = scores_of(NormalisedMahalanobis(), SCORED)
    np.testing.assert_allclose(scores_of(NormalisedMahalanobis(), SCORED * 8), scores, rtol=1e-9)


def test_cosine_to_the_nearest_class_mean():
    means = np.stack([TRAIN[y == LABELS].astype(np.float64).mean(axis=0) for y in range(CLASSES)])
    agree(CosineSimilarity(), -(unit(SCORED) @ unit(means).T).max(axis=1))


def test_margin_is_the_difference_of_the_two_largest_probabilities():
    found = np.sort(softmax(logits_of(SCORED)), axis=1)
    agree(Margin(), 1 - (found[:, -1] - found[:, -2]), rtol=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_doctor_is_the_odds_of_an_error(temperature):
    found = softmax(logits_of(SCORED) / temperature)
    collisions = (found**2).sum(axis=1)
    agree(Doctor(temperature=temperature), (1 - collisions) / collisions, rtol=1e-4)
    wrong = 1 - found.max(axis=1)
    agree(Doctor(variant="beta", temperature=temperature), wrong / (1 - wrong), rtol=1e-4)


@pytest.mark.parametrize("detector", [Margin(), Doctor(), Doctor(variant="beta")])
def test_a_classifier_that_is_sure_does_not_tie(detector):
    """Leads of 50 and 60 logits leave a probability of exactly 1 in float64."""
    logits = torch.tensor([[60.0, 0.0, 0.0], [0.0, 50.0, 0.0], [5.0, 5.0, 5.0]])
    surest, sure, unsure = detector.score(Batch(torch.full((3,), -1), logits=logits))
    assert 0 < surest < sure < unsure


def test_values_computed_by_hand():
    batch = Batch(torch.tensor([-1]), logits=torch.tensor([[math.log(3.0), 0.0]]))
    assert Margin().score(batch).item() == pytest.approx(1 / 2)
    assert Doctor().score(batch).item() == pytest.approx(3 / 5)
    assert Doctor(variant="beta").score(batch).item() == pytest.approx(1 / 3)


def test_parameters_that_mean_nothing_are_refused():
    with pytest.raises(InvalidParameter, match="variant must be one of alpha, beta, not gamma"):
        Doctor(variant="gamma")
    with pytest.raises(InvalidParameter, match="dimension must be a whole number of at least 1"):
        Residual(dimension=0)
    with pytest.raises(InvalidParameter, match="dimension must be less than 10"):
        scores_of(Residual(dimension=10))
