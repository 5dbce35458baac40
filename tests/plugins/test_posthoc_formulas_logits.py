"""Detectors of logits against their formulas, written in numpy from the papers."""

import math

import numpy as np
import pytest
import torch
from formulas import (
    CLASSES,
    LABELS,
    NETWORK,
    SCORED,
    TRAIN,
    WIDTH,
    batch_of,
    logits_of,
    scores_of,
    softmax,
)
from scipy.stats import weibull_min

from oodbench.contracts import Context
from oodbench.testing import TensorStream
from oodbench_posthoc.energy import Energy
from oodbench_posthoc.entropy import Entropy
from oodbench_posthoc.gen import GeneralisedEntropy
from oodbench_posthoc.klmatching import PosteriorMatching
from oodbench_posthoc.maxlogit import MaximumLogit
from oodbench_posthoc.msp import MaximumSoftmax
from oodbench_posthoc.openmax import OpenMax
from oodbench_posthoc.temperature_scaling import TemperatureScaling

LOGITS = logits_of(SCORED)


def agree(detector, expected, rtol=1e-5):
    """Compare up to the rounding of the logits, which are float32."""
    np.testing.assert_allclose(scores_of(detector), expected, rtol=rtol, atol=1e-9)


def fitted_on_validation(detector, labels=LABELS):
    """Return the scores of a detector whose validation images are the others' training images."""
    shape = (1, 1, WIDTH)
    held_out = TensorStream(batch_of(TRAIN, labels), shape=shape, num_classes=CLASSES, batch_size=7)
    nothing = TensorStream(
        batch_of(TRAIN[:3], np.arange(3)), shape=shape, num_classes=CLASSES, batch_size=7
    )
    context = Context(
        torch.device("cpu"), 0, shape, CLASSES, _classifier=NETWORK, _validation=held_out
    )
    with torch.no_grad():
        return detector.fit(nothing, context).score(batch_of(SCORED)).numpy()


@pytest.mark.parametrize("temperature", [1.0, 10.0])
def test_msp_is_the_largest_probability(temperature):
    expected = -softmax(LOGITS / temperature).max(axis=1)
    agree(MaximumSoftmax(temperature=temperature), expected)


def test_maxlogit_is_the_largest_logit():
    agree(MaximumLogit(), -LOGITS.max(axis=1))


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_energy_is_the_logarithm_of_a_sum(temperature):
    expected = -temperature * np.log(np.exp(LOGITS / temperature).sum(axis=1))
    agree(Energy(temperature=temperature), expected)


def test_entropy_is_that_of_the_probabilities():
    probabilities = softmax(LOGITS)
    agree(Entropy(), -(probabilities * np.log(probabilities)).sum(axis=1), rtol=1e-4)


@pytest.mark.parametrize(("gamma", "top_classes"), [(0.1, None), (0.5, 2), (0.1, 1)])
def test_gen_is_the_generalised_entropy_of_the_largest_probabilities(gamma, top_classes):
    probabilities = -np.sort(-softmax(LOGITS), axis=1)
    # 1 less the largest is the sum of the others
    others = np.stack(
        [probabilities[:, np.arange(CLASSES) != y].sum(axis=1) for y in range(CLASSES)], axis=1
    )
    terms = (probabilities * others)[:, :top_classes] ** gamma
    agree(GeneralisedEntropy(gamma=gamma, top_classes=top_classes), terms.mean(axis=1))


def test_klmatching_is_the_divergence_from_the_nearest_typical_posterior():
    held_out, tested = softmax(logits_of(TRAIN)), softmax(LOGITS)
    predicted = held_out.argmax(axis=1)
    typical = np.stack([held_out[predicted == y].mean(axis=0) for y in np.unique(predicted)])
    divergences = (tested[:, None] * np.log(tested[:, None] / typical)).sum(axis=2)
    expected = divergences.min(axis=1)
    np.testing.assert_allclose(
        fitted_on_validation(PosteriorMatching()), expected, rtol=1e-4, atol=1e-6
    )


def test_temperature_scaling_takes_the_most_likely_temperature():
    logits = logits_of(TRAIN)
    labels = np.where(np.arange(len(logits)) % 5 == 0, 0, logits.argmax(axis=1))

    def loss(temperature):
        return -np.log(softmax(logits / temperature)[np.arange(len(labels)), labels]).mean()

    low, high = 1e-2, 1e2
    for _ in range(200):  # the loss is convex in 1 / T, and so has one minimum in log T
        third = (high / low) ** (1 / 3)
        low, high = (
            (low * third, high) if loss(low * third) > loss(high / third) else (low, high / third)
        )
    expected = -softmax(LOGITS / math.sqrt(low * high)).max(axis=1)
    np.testing.assert_allclose(
        fitted_on_validation(TemperatureScaling(), labels), expected, rtol=1e-5
    )


@pytest.mark.filterwarnings("ignore:Precision loss:RuntimeWarning")  # two images of a class
@pytest.mark.parametrize(("tail", "top_classes", "seen"), [(20, 10, 3), (10, 2, 3), (20, 10, 2)])
def test_openmax_is_the_softmax_of_a_revised_unknown_class(tail, top_classes, seen):
    """Algorithms 1 and 2; a class that is never recognised is described by all its images.

    Logits of a class without training images are not revised.
    """
    features, labels = TRAIN[seen > LABELS], LABELS[seen > LABELS]
    train = logits_of(features)
    right = train.argmax(axis=1) == labels
    outlying = np.zeros_like(LOGITS)
    for y in range(seen):
        members = (
            train[(y == labels) & right] if (right & (y == labels)).any() else train[y == labels]
        )
        centre = members.mean(axis=0)
        largest = np.sort(np.linalg.norm(members - centre, axis=1))[-tail:]
        shift = 10_000 - largest.min()
        shape, _, scale = weibull_min.fit(largest + shift, floc=0)
        distances = np.linalg.norm(LOGITS - centre, axis=1) + shift
        with np.errstate(over="ignore"):
            outlying[:, y] = 1 - np.exp(-((distances / scale) ** shape))
    count = min(top_classes, CLASSES)
    ranks = (-LOGITS).argsort(axis=1).argsort(axis=1)
    alpha = np.where(ranks < count, (count - ranks) / count, 0)
    moved = LOGITS * outlying * alpha
    revised = np.concatenate([moved.sum(axis=1, keepdims=True), LOGITS - moved], axis=1)
    expected = softmax(revised)[:, 0]
    detector = OpenMax(tail=tail, top_classes=top_classes)
    scores = scores_of(detector, train=features, labels=labels)
    np.testing.assert_allclose(scores, expected, rtol=2e-3, atol=1e-5)
