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
    batch_of,
    logits_of,
    scores_of,
    softmax,
    unit,
)
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from oodbench.contracts import Batch, InvalidParameter
from oodbench_posthoc.cop import CosinePrincipalComponents
from oodbench_posthoc.cosine import CosineSimilarity
from oodbench_posthoc.doctor import Doctor
from oodbench_posthoc.entropy import Entropy
from oodbench_posthoc.gen import GeneralisedEntropy
from oodbench_posthoc.iodin import InfluentialOdin
from oodbench_posthoc.kernel_pca import KernelPrincipalComponents
from oodbench_posthoc.mahalanobis_pp import NormalisedMahalanobis
from oodbench_posthoc.margin import Margin
from oodbench_posthoc.neco import NeuralCollapseRatio
from oodbench_posthoc.relation import NeuralRelation
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


def left_by_components(values, scored, share):
    """Return what principal components that explain a share of the variance leave: (n,)."""
    mean = values.mean(axis=0)
    decomposed = np.linalg.svd(values - mean, full_matrices=True)
    explained = np.cumsum(decomposed.S**2) / np.sum(decomposed.S**2)
    outside = decomposed.Vh[np.argmax(explained >= share) + 1 :]
    return np.linalg.norm((scored - mean) @ outside.T, axis=1)


@pytest.mark.parametrize("share", [0.5, 0.85])
def test_cop_is_what_principal_components_leave_of_the_direction(share):
    expected = left_by_components(unit(TRAIN), unit(SCORED), share)
    agree(CosinePrincipalComponents(explained=share), expected)


def test_corp_is_what_principal_components_leave_of_random_features():
    detector = KernelPrincipalComponents(random_features=20)
    scores = scores_of(detector)
    frequencies, shifts = detector.frequencies_.numpy(), detector.shifts_.numpy()

    def mapped(values):
        return np.sqrt(2 / 20) * np.cos(unit(values) @ frequencies + shifts)

    expected = left_by_components(mapped(TRAIN), mapped(SCORED), 0.8)
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_products_of_random_features_are_those_of_the_gaussian_kernel():
    detector = KernelPrincipalComponents(random_features=20_000, gamma=0.7)
    detector.mean_ = detector.outside_ = None
    generator = np.random.default_rng(0)
    detector.frequencies_ = torch.from_numpy(np.sqrt(1.4) * generator.normal(size=(10, 20_000)))
    detector.shifts_ = torch.from_numpy(2 * np.pi * generator.random(20_000))
    mapped = detector.read(batch_of(SCORED[:5])).numpy()
    squares = ((unit(SCORED[:5])[:, None] - unit(SCORED[:5])) ** 2).sum(axis=2)
    np.testing.assert_allclose(mapped @ mapped.T, np.exp(-0.7 * squares), atol=0.05)


def test_neco_is_the_share_of_the_length_in_the_principal_space():
    scaler = StandardScaler().fit(TRAIN.astype(np.float64))
    values, scored = scaler.transform(TRAIN), scaler.transform(SCORED)
    components = PCA().fit(values).components_[:5]
    expected = np.linalg.norm(scored @ components.T, axis=1) / np.linalg.norm(scored, axis=1)
    agree(NeuralCollapseRatio(), -expected)


@pytest.mark.parametrize("power", [1.0, 4.0])
def test_relation_is_the_sum_of_similarities_to_training_images(power):
    alike = np.maximum(unit(SCORED) @ unit(TRAIN).T, 0)
    relations = alike * (softmax(logits_of(SCORED)) @ softmax(logits_of(TRAIN)).T)
    expected = np.where(relations > 0.03, relations, 0) ** power
    agree(NeuralRelation(power=power), -expected.sum(axis=1), rtol=1e-4)


def test_iodin_moves_the_most_influential_number_alone():
    probabilities = softmax(logits_of(SCORED) / 2)
    predicted = probabilities.argmax(axis=1)
    gradients = (np.eye(CLASSES)[predicted] - probabilities) @ WEIGHT / 2
    largest = np.abs(gradients).argmax(axis=1)
    moved = SCORED.astype(np.float64)
    rows = np.arange(len(moved))
    moved[rows, largest] += 0.5 * np.sign(gradients[rows, largest])
    expected = softmax(logits_of(moved) / 2).max(axis=1)
    agree(InfluentialOdin(temperature=2.0, step=0.5), -expected, rtol=1e-4)


@pytest.mark.parametrize(
    "detector", [Margin(), Doctor(), Doctor(variant="beta"), Entropy(), GeneralisedEntropy()]
)
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
    for detector in (Residual(dimension=10), NeuralCollapseRatio(dimension=10)):
        with pytest.raises(InvalidParameter, match="dimension must be less than 10"):
            scores_of(detector)
    with pytest.raises(InvalidParameter, match="explained must be greater than 0 and less than 1"):
        CosinePrincipalComponents(explained=1.0)
