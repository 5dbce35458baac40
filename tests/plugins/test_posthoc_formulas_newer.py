"""Detectors of 2023 to 2025 against their formulas, written in numpy."""

import numpy as np
import pytest
import torch
from formulas import (
    BIAS,
    CLASSES,
    LABELS,
    NETWORK,
    SCORED,
    TRAIN,
    WEIGHT,
    WIDTH,
    batch_of,
    logits_of,
    scores_of,
    softmax,
)

from oodbench.contracts import Batch, Context, InvalidParameter, PluginError
from oodbench.testing import TensorStream
from oodbench_posthoc.adascale import AdaptiveActivationScaling, AdaptiveLogitScaling
from oodbench_posthoc.ensemble import MeanProbability, MutualInformation
from oodbench_posthoc.gradorth import OrthogonalGradients
from oodbench_posthoc.grood import PrototypeGradients, blurred_noise
from oodbench_posthoc.nearest import distance_to_nearest
from oodbench_posthoc.weiper import PerturbedWeights

CONTEXT = Context(torch.device("cpu"), 0, (1, 1, WIDTH), CLASSES, _classifier=NETWORK)
UNTIED = np.arange(WIDTH, dtype=np.float32) / 1000
"""Added to features, so that it is clear which ones are largest."""


@pytest.mark.parametrize("share", [0.5, 0.97])
def test_gradorth_is_the_length_of_the_gradient_in_the_principal_space(share):
    """By the gradient itself, the outer product of those in the logits and of the features."""
    decomposed = np.linalg.svd(TRAIN.astype(np.float64), full_matrices=True)
    explained = np.cumsum(decomposed.S**2) / np.sum(decomposed.S**2)
    space = decomposed.Vh[: np.argmax(explained >= share) + 1]
    of_logits = softmax(logits_of(SCORED)) - 1 / CLASSES
    gradients = of_logits[:, :, None] * SCORED.astype(np.float64)[:, None]
    expected = -np.linalg.norm(gradients @ space.T @ space, axis=(1, 2))
    found = scores_of(OrthogonalGradients(explained=share))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def histogram(values, low, high):
    counts = [np.histogram(row, low + (high - low) * np.linspace(0, 1, 11))[0] for row in values]
    return np.stack(counts) / values.shape[1]


def compared(usual, found, smoothing, epsilon):
    left = (smoothing - 1) // 2
    padded = np.pad(found, ((0, 0), (left, smoothing - 1 - left)), mode="edge")
    kernel = np.ones(smoothing) / smoothing
    smooth = np.stack([np.convolve(row, kernel, mode="valid") for row in padded]) + epsilon
    q = smooth / smooth.sum(axis=1, keepdims=True)
    p = (usual + epsilon) / (usual + epsilon).sum()
    return (p * np.log(p / q)).sum(axis=1) + (q * np.log(q / p)).sum(axis=1)


def test_weiper_compares_histograms_of_features_and_of_perturbed_logits():
    detector = PerturbedWeights(
        repeats=3, bins=10, smoothing=2, smoothing_perturbed=3, weight_perturbed=2, weight_msp=0.5
    )
    scores = scores_of(detector)
    heads = detector.weights.numpy()  # as drawn
    moved = np.linalg.norm(heads - WEIGHT, axis=2) / np.linalg.norm(WEIGHT, axis=1)
    np.testing.assert_allclose(moved, 1.8, rtol=1e-5)

    def perturbed(values):
        logits = [torch.from_numpy(values) @ torch.from_numpy(head).T for head in heads]
        return [each.double().numpy() + BIAS for each in logits]

    def divergence(train, scored, smoothing, epsilon):
        low, high = train.min(), train.max()
        usual = histogram(train, low, high).mean(axis=0)
        return compared(usual, histogram(scored, low, high), smoothing, epsilon)

    features = divergence(TRAIN.astype(np.float64), SCORED.astype(np.float64), 2, 0.01)
    logits = divergence(np.hstack(perturbed(TRAIN)), np.hstack(perturbed(SCORED)), 3, 0.025)
    sure = np.mean([softmax(each).max(axis=1) for each in perturbed(SCORED)], axis=0)
    np.testing.assert_allclose(scores, features + 2 * logits - 0.5 * sure, rtol=1e-4, atol=1e-6)


def test_weiper_draws_the_same_heads_when_it_is_restored():
    detector = PerturbedWeights(repeats=3)
    scores = scores_of(detector)
    other = PerturbedWeights(repeats=3).restore(detector.state(), CONTEXT)
    assert torch.equal(other.weights, detector.weights)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("seen", [CLASSES, 2])
def test_grood_is_the_distance_to_the_nearest_gradient_at_the_ood_prototype(seen):
    detector = PrototypeGradients()
    train, labels = TRAIN[seen > LABELS], LABELS[seen > LABELS]
    scores = scores_of(detector, train=train, labels=labels)
    values = train.astype(np.float64)
    means = np.stack([values[y == labels].mean(axis=0) for y in range(seen)])
    with torch.no_grad():
        noise = NETWORK.features(blurred_noise(100, (1, 1, WIDTH), CONTEXT.generator()))
    energies = np.log(np.exp(logits_of(noise.numpy())).sum(axis=1))
    unlike = noise.double().numpy()[np.argsort(energies)[:10]].mean(axis=0)

    def gradients(features):
        """Return the derivatives of the loss by differences of the OOD prototype's place."""
        predicted = logits_of(features).argmax(axis=1)

        def loss(prototype):
            prototypes = np.vstack([means, prototype])
            away = np.linalg.norm(features.astype(np.float64)[:, None] - prototypes, axis=2)
            # the gradient at the OOD prototype is the same for every other class
            return -np.log(softmax(-away))[:, 0]

        steps = 1e-6 * np.eye(WIDTH)
        slopes = [(loss(unlike + step) - loss(unlike - step)) / 2e-6 for step in steps]
        return np.stack(slopes, axis=1), predicted

    known, predicted = gradients(train)
    known = known[predicted == labels]
    found, _ = gradients(SCORED)
    expected = np.linalg.norm(found[:, None] - known, axis=2).min(axis=1)
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-8)


def test_noise_is_blurred_where_an_image_is_smaller_than_the_kernel():
    for shape in ((1, 1, 4), (3, 2, 2), (1, 28, 28)):
        noise = blurred_noise(5, shape, torch.Generator().manual_seed(0))
        assert noise.shape == (5, *shape)
        assert (noise >= 0).all()
        assert (noise <= 1).all()


def test_neighbours_of_queries_longer_than_1_are_found():
    """Also where float32 rounds their products with the bank by more than these differ."""
    generator = torch.Generator().manual_seed(0)
    noise = 1e-7 * torch.randn(3000, 8, generator=generator)
    bank = torch.nn.functional.normalize(torch.ones(8) + noise)
    queries = 1000 * torch.nn.functional.normalize(torch.randn(40, 8, generator=generator))
    expected = torch.cdist(
        queries.double(), bank.double(), compute_mode="donot_use_mm_for_euclid_dist"
    )
    found = distance_to_nearest(queries, bank, 1)
    assert torch.equal(found, expected.amin(dim=1))


def moved_by(values):
    """Return features after the step of AdaSCALE, in the 4 values that matter least."""
    predicted = logits_of(values).argmax(axis=1)
    moved = values.astype(np.float64)
    for row, slopes in zip(moved, WEIGHT[predicted], strict=True):
        least = np.argsort(np.abs(slopes))[:4]
        row[least] += 0.5 * np.sign(slopes[least])
    return moved


def movement(values):
    values, moved = values.astype(np.float64), moved_by(values)
    order = np.argsort(-values, axis=1)
    corrected = np.take_along_axis(np.maximum(moved, 0), order[:, :3], axis=1).sum(axis=1)
    shift = np.take_along_axis(np.abs(moved - values), order[:, :5], axis=1).sum(axis=1)
    return corrected + 2 * shift


@pytest.mark.parametrize("detector", [AdaptiveActivationScaling, AdaptiveLogitScaling])
def test_adascale_scales_by_a_percentile_that_movement_gives(detector):
    train, scored = TRAIN + UNTIED, SCORED + UNTIED
    known = movement(train)
    below = np.array([(known <= own).mean() for own in movement(scored)])
    percentiles = 0.2 + (1 - below) * (0.8 - 0.2)
    values = scored.astype(np.float64)
    positive = -np.sort(-np.maximum(values, 0), axis=1)
    kept = WIDTH - np.round(WIDTH * percentiles).astype(int)
    largest = np.array([row[:count].sum() for row, count in zip(positive, kept, strict=True)])
    ratios = (positive.sum(axis=1) / largest)[:, None]
    if detector is AdaptiveActivationScaling:
        logits = logits_of(values * np.exp(ratios))
    else:
        logits = logits_of(values) * ratios**2
    highest = logits.max(axis=1)
    expected = -highest - np.log(np.exp(logits - highest[:, None]).sum(axis=1))
    settings = {"share_corrected": 0.3, "share_moved": 0.5, "share_pixels": 0.4, "step": 0.5}
    made = detector(low=0.2, high=0.8, weight_moved=2.0, **settings)
    np.testing.assert_allclose(scores_of(made, scored, train), expected, rtol=1e-4)


def test_adascale_scores_images_without_a_feature_above_0():
    scores = scores_of(AdaptiveLogitScaling(), -np.abs(SCORED) - 1)
    assert np.isfinite(scores).all()


def of_members(*members):
    """Return a fitted object's class applied to logits (n, k) of several classifiers."""
    logits = torch.from_numpy(np.concatenate(members, axis=1))
    batch = Batch(torch.full((len(logits),), -1), logits=logits)
    stream = TensorStream(batch, shape=(1, 1, WIDTH), num_classes=CLASSES)
    return lambda detector: detector.fit(stream, CONTEXT).score(batch).numpy()


def test_an_ensemble_scores_by_the_mean_probability_and_by_the_mutual_information():
    members = [logits_of(SCORED), logits_of(SCORED * 0.5), logits_of(-SCORED)]
    members[1][0], members[2][0] = members[0][0], members[0][0]
    score = of_members(*members)
    each = np.stack([softmax(logits) for logits in members])
    mean = each.mean(axis=0)
    np.testing.assert_allclose(score(MeanProbability()), -mean.max(axis=1), rtol=1e-10)

    def entropy(probabilities):
        return -(probabilities * np.log(probabilities)).sum(axis=-1)

    found = score(MutualInformation())
    np.testing.assert_allclose(found, entropy(mean) - entropy(each).mean(axis=0), atol=1e-10)
    assert found[0] == pytest.approx(0, abs=1e-15)
    assert (found >= 0).all()


def test_an_ensemble_needs_the_classifiers_that_it_was_fitted_to():
    with pytest.raises(PluginError, match="needs several classifiers: --classifier-seeds 3"):
        of_members(logits_of(SCORED))(MeanProbability())
    detector = MeanProbability()
    of_members(logits_of(SCORED), logits_of(SCORED))(detector)
    with pytest.raises(PluginError, match="was fitted to 2 classifiers and is given 1"):
        detector.score(batch_of(SCORED))
    assert list(detector.remarks()) == ["Of 2 classifiers together, in the rows of the first."]


def test_parameters_that_mean_nothing_are_refused():
    with pytest.raises(InvalidParameter, match=r"low \(0.9\) must not be above high \(0.8\)"):
        AdaptiveLogitScaling(low=0.9, high=0.8)
    with pytest.raises(InvalidParameter, match="share_pixels must be greater than 0 and less"):
        AdaptiveLogitScaling(share_pixels=1.0)
    with pytest.raises(InvalidParameter, match="explained must be greater than 0 and less than 1"):
        OrthogonalGradients(explained=1.0)
    with pytest.raises(InvalidParameter, match="bins must be a whole number of at least 1, not 0"):
        PerturbedWeights(bins=0)
    with pytest.raises(InvalidParameter, match="neighbours must be a whole number of at least 1"):
        PrototypeGradients(neighbours=0)
