"""Detectors of gradients and of dropout against their formulas, written in numpy.

The network is linear, so that its gradients are known.
"""

import numpy as np
import pytest
import torch
from formulas import (
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
from torch import nn

from oodbench.contracts import Context
from oodbench_posthoc.gradnorm import GradientNorm
from oodbench_posthoc.graduncertainty import GradientUncertainty
from oodbench_posthoc.mahalanobis_odin import PerturbedMahalanobis
from oodbench_posthoc.mcd import MonteCarloDropout
from oodbench_posthoc.odin import Odin

FEATURES = SCORED.astype(np.float64)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_gradnorm_is_the_norm_of_the_gradient_towards_a_uniform_prediction(temperature):
    expected = []
    for z, p in zip(FEATURES, softmax(logits_of(SCORED) / temperature), strict=True):
        gradient = np.outer((p - 1 / CLASSES) / temperature, z)
        expected.append(-np.abs(gradient).sum())
    scores = scores_of(GradientNorm(temperature=temperature))
    np.testing.assert_allclose(scores, expected, rtol=1e-4)


def test_graduncertainty_is_the_norm_of_the_gradient_towards_all_classes():
    """The sum of -log p_y over all classes y has the gradient k p - 1 in the logits."""
    expected = []
    for z, p in zip(FEATURES, softmax(logits_of(SCORED)), strict=True):
        of_logits = CLASSES * p - 1
        squares = (np.outer(of_logits, z) ** 2).sum() + (of_logits**2).sum()
        expected.append(-squares)
    np.testing.assert_allclose(scores_of(GradientUncertainty()), expected, rtol=1e-4)


@pytest.mark.parametrize(("temperature", "step"), [(1000.0, 0.0014), (2.0, 0.1)])
def test_odin_moves_images_towards_their_prediction(temperature, step):
    probabilities = softmax(logits_of(SCORED) / temperature)
    predicted = np.eye(CLASSES)[probabilities.argmax(axis=1)]
    gradients = (predicted - probabilities) @ WEIGHT / temperature
    moved = FEATURES + step * np.sign(gradients)
    expected = -softmax(logits_of(moved) / temperature).max(axis=1)
    scores = scores_of(Odin(temperature=temperature, step=step))
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_mahalanobis_odin_moves_images_towards_the_nearest_class():
    values = TRAIN.astype(np.float64)
    means = np.stack([values[y == LABELS].mean(axis=0) for y in range(CLASSES)])
    within = np.cov(values - means[LABELS], rowvar=False, bias=True)
    precision = np.linalg.pinv(within, hermitian=True)

    def distances(points):
        away = points[:, None] - means
        return np.einsum("nkd,de,nke->nk", away, precision, away) / 2

    nearest = means[distances(FEATURES).argmin(axis=1)]
    moved = FEATURES - 0.05 * np.sign((FEATURES - nearest) @ precision)
    scores = scores_of(PerturbedMahalanobis(step=0.05))
    np.testing.assert_allclose(scores, distances(moved).min(axis=1), rtol=1e-4)


class Dropping(nn.Module):
    """A classifier whose features are dropped before its head."""

    def __init__(self):
        super().__init__()
        self.dropout = nn.Dropout(0.25)
        self.head = NETWORK.head

    def forward(self, images):
        return self.head(self.dropout(images.flatten(1)))


@pytest.mark.parametrize("mode", ["var", "mean"])
def test_mcd_is_the_spread_over_networks_that_dropout_makes(mode):
    context = Context(torch.device("cpu"), 7, (1, 1, WIDTH), CLASSES, _classifier=Dropping().eval())
    detector = MonteCarloDropout(samples=12, mode=mode).fit(None, context)
    with torch.no_grad():
        scores = detector.score(batch_of(SCORED)).numpy()
    generator = torch.Generator().manual_seed(7)
    masks = [(torch.rand((1, WIDTH), generator=generator) >= 0.25).numpy() for _ in range(12)]
    found = np.stack([softmax(logits_of(FEATURES * mask / 0.75)) for mask in masks])
    expected = (
        found.var(axis=0, ddof=1).mean(axis=1) if mode == "var" else -found.mean(axis=0).max(axis=1)
    )
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-12)
