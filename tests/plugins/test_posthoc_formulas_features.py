"""Detectors of features against their formulas, written in numpy from the papers."""

import numpy as np
import pytest
from formulas import (
    BIAS,
    CLASSES,
    LABELS,
    SCORED,
    TRAIN,
    WEIGHT,
    WIDTH,
    logits_of,
    scores_of,
    softmax,
    unit,
)

from oodbench_posthoc.ash import ActivationShaping
from oodbench_posthoc.dice import SparseHead
from oodbench_posthoc.fdbd import BoundaryDistance
from oodbench_posthoc.gmm import ClassGaussians
from oodbench_posthoc.knn import NearestNeighbours
from oodbench_posthoc.lts import LogitScaling
from oodbench_posthoc.mahalanobis import Mahalanobis
from oodbench_posthoc.nci import NeuralCollapse
from oodbench_posthoc.nnguide import NeighbourGuidance
from oodbench_posthoc.pnml import LikelihoodRegret
from oodbench_posthoc.react import RectifiedActivations
from oodbench_posthoc.rmd import RelativeMahalanobis
from oodbench_posthoc.scale import ActivationScaling
from oodbench_posthoc.she import HopfieldEnergy
from oodbench_posthoc.vim import VirtualLogitMatching

BANK, FEATURES = TRAIN.astype(np.float64), SCORED.astype(np.float64)
LOGITS = logits_of(SCORED)
PREDICTED = LOGITS.argmax(axis=1)


def agree(detector, expected, rtol=1e-5):
    """Compare up to the rounding of float32, in which features and logits are."""
    np.testing.assert_allclose(scores_of(detector), expected, rtol=rtol, atol=2e-5)


def energy(logits):
    """Return the free energy (n,) of logits."""
    return -np.logaddexp.reduce(logits, axis=1)


def squared(values, means, covariance):
    """Return squared distances (n, k) by the pseudo-inverse of a covariance."""
    away = values[:, None] - means
    return np.einsum("nkd,de,nke->nk", away, np.linalg.pinv(covariance, hermitian=True), away)


def means_of(values):
    """Return the mean (k, d) of each class."""
    return np.stack([values[y == LABELS].mean(axis=0) for y in range(CLASSES)])


def test_mahalanobis_and_rmd_are_distances_by_pseudo_inverses():
    means = means_of(BANK)
    within = np.cov(BANK - means[LABELS], rowvar=False, bias=True)
    nearest = squared(FEATURES, means, within).min(axis=1)
    agree(Mahalanobis(), nearest / 2)
    total = np.cov(BANK, rowvar=False, bias=True)
    agree(RelativeMahalanobis(), nearest - squared(FEATURES, BANK.mean(axis=0)[None], total)[:, 0])


@pytest.mark.parametrize("neighbours", [1, 50])
def test_knn_is_the_distance_to_the_kth_nearest_direction(neighbours):
    distances = np.linalg.norm(unit(SCORED)[:, None] - unit(TRAIN), axis=2)
    agree(NearestNeighbours(neighbours=neighbours), np.sort(distances, axis=1)[:, neighbours - 1])


@pytest.mark.parametrize("dimension", [None, 3])
def test_vim_is_a_virtual_logit_against_the_energy(dimension):
    origin = -np.linalg.pinv(WEIGHT) @ BIAS
    directions = np.linalg.svd(BANK - origin, full_matrices=True).Vh[dimension or WIDTH // 2 :]
    residual, of_train = (
        np.linalg.norm((each - origin) @ directions.T, axis=1) for each in (FEATURES, BANK)
    )
    factor = logits_of(TRAIN).max(axis=1).mean() / of_train.mean()
    agree(VirtualLogitMatching(dimension=dimension), factor * residual + energy(LOGITS))


@pytest.mark.parametrize("seen", [CLASSES, 2])
def test_she_is_the_product_with_the_pattern_of_the_predicted_class(seen):
    """That is the one with the largest logit of the classes that have training images."""
    train, labels = BANK[seen > LABELS], LABELS[seen > LABELS]
    right = logits_of(train).argmax(axis=1) == labels
    patterns = np.stack(
        [
            train[of_class & right if (of_class & right).any() else of_class].mean(axis=0)
            for of_class in (y == labels for y in range(seen))
        ]
    )
    expected = -(FEATURES * patterns[LOGITS[:, :seen].argmax(axis=1)]).sum(axis=1)
    scores = scores_of(HopfieldEnergy(), train=train.astype(np.float32), labels=labels)
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=2e-5)


def test_fdbd_is_the_mean_distance_to_decision_boundaries():
    expected = []
    for z, logits, y in zip(FEATURES, LOGITS, PREDICTED, strict=True):
        distances = [
            abs(logits[y] - logits[c]) / np.linalg.norm(WEIGHT[y] - WEIGHT[c])
            for c in range(CLASSES)
            if c != y
        ]
        expected.append(-np.mean(distances) / np.linalg.norm(z - BANK.mean(axis=0)))
    agree(BoundaryDistance(), np.array(expected))


@pytest.mark.parametrize("norm_weight", [0.0, 0.1])
def test_nci_is_the_alignment_with_the_weights_of_the_predicted_class(norm_weight):
    centred = FEATURES - BANK.mean(axis=0)
    aligned = (centred * WEIGHT[PREDICTED]).sum(axis=1) / np.linalg.norm(centred, axis=1)
    expected = -aligned - norm_weight * np.abs(FEATURES).sum(axis=1)
    agree(NeuralCollapse(norm_weight=norm_weight), expected)


@pytest.mark.parametrize("neighbours", [1, 10])
def test_nnguide_is_the_energy_guided_by_neighbours(neighbours):
    guides = -energy(logits_of(TRAIN)) * (unit(SCORED) @ unit(TRAIN).T)
    guidance = -np.sort(-guides, axis=1)[:, :neighbours].mean(axis=1)
    agree(NeighbourGuidance(neighbours=neighbours), guidance * energy(LOGITS))


def test_pnml_is_the_regret_of_a_learner_that_does_not_know_the_class():
    directions, trained = unit(SCORED), unit(TRAIN)
    projected = np.einsum(
        "nd,de,ne->n", directions, np.linalg.pinv(trained.T @ trained, rcond=1e-6), directions
    )
    probabilities = softmax(logits_of(directions))
    power = probabilities ** (projected / (1 + projected))[:, None]
    regret = np.log((probabilities / (probabilities + (1 - probabilities) * power)).sum(axis=1))
    agree(LikelihoodRegret(), regret / np.log(CLASSES))


def test_gmm_is_the_likelihood_under_a_gaussian_for_each_class():
    likelihoods = np.zeros(len(FEATURES), dtype=np.longdouble)
    for y in range(CLASSES):
        members = BANK[y == LABELS]
        covariance = np.cov(members, rowvar=False, bias=True) + 1e-2 * np.eye(WIDTH)
        away = FEATURES - members.mean(axis=0)
        squares = np.einsum("nd,de,ne->n", away, np.linalg.inv(covariance), away)
        normaliser = np.sqrt(np.linalg.det(2 * np.pi * covariance))
        share = np.longdouble(len(members) / len(BANK))
        likelihoods += share * np.exp(-squares.astype(np.longdouble) / 2) / normaliser
    agree(ClassGaussians(regularization=1e-2), -np.log(likelihoods).astype(np.float64))


@pytest.mark.parametrize("sparsity", [0.5, 0.9])
def test_dice_keeps_the_weights_that_contribute_most(sparsity):
    contributions = WEIGHT * BANK.mean(axis=0)
    kept = contributions > np.quantile(contributions, sparsity)
    agree(SparseHead(sparsity=sparsity), energy(FEATURES @ np.where(kept, WEIGHT, 0).T + BIAS))


@pytest.mark.parametrize("percentile", [0.5, 0.9])
def test_react_cuts_features_off(percentile):
    limit = np.quantile(TRAIN, percentile)
    cut = np.minimum(FEATURES, limit)
    agree(RectifiedActivations(percentile=percentile), energy(cut @ WEIGHT.T + BIAS))


@pytest.mark.parametrize("variant", ["ash-p", "ash-b", "ash-s"])
@pytest.mark.parametrize(("percentile", "count"), [(0.65, 4), (0.9, 1)])
def test_ash_keeps_the_largest_features(variant, percentile, count):
    ordered = -np.sort(-FEATURES, axis=1)
    kept = ordered[:, [count - 1]] <= FEATURES
    shaped = np.where(kept, FEATURES, 0)
    if variant == "ash-b":
        shaped = np.where(kept, FEATURES.sum(axis=1, keepdims=True) / count, 0)
    elif variant == "ash-s":
        shaped = shaped * np.exp(FEATURES.sum(axis=1) / shaped.sum(axis=1))[:, None]
    scores = scores_of(ActivationShaping(variant=variant, percentile=percentile))
    clear = ordered[:, count - 1] != ordered[:, count]  # no tie for the last place
    expected = energy(shaped @ WEIGHT.T + BIAS)
    np.testing.assert_allclose(scores[clear], expected[clear], rtol=1e-4, atol=1e-4)
    assert clear.mean() > 0.5


@pytest.mark.parametrize(("percentile", "count"), [(0.85, 2), (0.7, 3)])
def test_scale_multiplies_features_by_a_ratio_of_sums(percentile, count):
    ratios = FEATURES.sum(axis=1) / (-np.sort(-FEATURES, axis=1)[:, :count]).sum(axis=1)
    scaled = FEATURES * np.exp(ratios)[:, None]
    agree(ActivationScaling(percentile=percentile), energy(scaled @ WEIGHT.T + BIAS), rtol=1e-4)


@pytest.mark.parametrize(("top_share", "count"), [(0.05, 1), (0.3, 3)])
def test_lts_scales_logits_by_a_squared_ratio_of_sums(top_share, count):
    positive = np.maximum(FEATURES, 0)
    ratios = positive.sum(axis=1) / (-np.sort(-positive, axis=1)[:, :count]).sum(axis=1)
    expected = energy(LOGITS * ratios[:, None] ** 2)
    agree(LogitScaling(top_share=top_share), expected, rtol=1e-4)
