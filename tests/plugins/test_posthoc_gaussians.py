"""The detectors that take Mahalanobis distances, against plain formulas in float64."""

import numpy as np
import pytest
import torch
from pytorch_ood import detector as pytorch_ood
from scipy.stats import spearmanr
from sklearn.covariance import EmpiricalCovariance
from torch import nn

from oodbench.contracts import Batch, Context
from oodbench.measures import auroc
from oodbench.testing import TensorStream, fit, toy_problem
from oodbench_posthoc.mahalanobis import Mahalanobis
from oodbench_posthoc.mahalanobis_odin import PerturbedMahalanobis
from oodbench_posthoc.multi_mahalanobis import LayeredMahalanobis
from oodbench_posthoc.rmd import RelativeMahalanobis

PROBLEM = toy_problem()
IMAGES = torch.cat([PROBLEM.id_images, PROBLEM.ood_images])
CLASSES, WIDTH = 3, 8


def drawn(count, seed, spread=1.0):
    """Return features of classes and the classes, negative ones and ties among them."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    means = np.random.default_rng(99).normal(size=(CLASSES, WIDTH))
    values = means[labels] + spread * generator.normal(size=(count, WIDTH))
    return np.round(values, 1).astype(np.float32), labels


def scores_of(detector, features, labels, scored):
    """Return the scores of features after a fit in batches of 7."""
    train = TensorStream(
        Batch(torch.from_numpy(labels), features=torch.from_numpy(features)),
        shape=(1, 1, features.shape[1]),
        num_classes=CLASSES,
        batch_size=7,
    )
    context = Context(torch.device("cpu"), 0, train.shape, CLASSES)
    batch = Batch(torch.full((len(scored),), -1), features=torch.from_numpy(scored))
    return detector.fit(train, context).score(batch).numpy()


def distances_to(mean, covariance, scored):
    """Return (z - m)' S^+ (z - m) of each row, with numpy's pseudo-inverse."""
    away = scored.astype(np.float64) - mean
    return np.einsum("nd,de,ne->n", away, np.linalg.pinv(covariance, hermitian=True), away)


def expected_distances(features, labels, scored):
    """Return the distances to each class (n, k), and to all images (n,)."""
    values = features.astype(np.float64)
    means = [values[labels == y].mean(axis=0) for y in range(CLASSES)]
    within = np.cov(values - np.stack(means)[labels], rowvar=False, bias=True)
    to_classes = [distances_to(mean, within, scored) for mean in means]
    total = np.cov(values, rowvar=False, bias=True)
    return np.stack(to_classes, axis=1), distances_to(values.mean(axis=0), total, scored)


def dead(features):
    """Add features that are always the same: 0, and a number that float32 cannot hold."""
    constant = np.tile(np.float32([0.0, 0.1]), (len(features), 1))
    return np.concatenate([features, constant], axis=1)


@pytest.mark.parametrize("change", [lambda features: features, dead], ids=["plain", "dead"])
def test_distances_are_those_of_the_formula(change):
    features, labels = drawn(200, seed=0)
    scored = change(drawn(50, seed=1, spread=3.0)[0])
    features = change(features)
    to_classes, to_all = expected_distances(features, labels, scored)
    nearest = to_classes.min(axis=1)
    np.testing.assert_allclose(
        scores_of(Mahalanobis(), features, labels, scored), nearest / 2, rtol=1e-9
    )
    np.testing.assert_allclose(
        scores_of(RelativeMahalanobis(), features, labels, scored), nearest - to_all, rtol=1e-7
    )


def test_the_covariance_is_that_of_scikit_learn():
    features, labels = drawn(200, seed=0)
    means = np.stack([features[labels == y].astype(np.float64).mean(axis=0) for y in range(3)])
    theirs = EmpiricalCovariance(assume_centered=True).fit(features - means[labels])
    scored = drawn(50, seed=1)[0]
    expected = np.min([theirs.mahalanobis(scored - mean) for mean in means], axis=0) / 2
    np.testing.assert_allclose(
        scores_of(Mahalanobis(), features, labels, scored), expected, rtol=1e-9
    )


@pytest.mark.parametrize("detector", [Mahalanobis, RelativeMahalanobis])
def test_a_feature_that_never_varies_in_training_has_no_weight(detector):
    features, labels = drawn(300, seed=0, spread=0.1)
    inside, outside = drawn(200, seed=1, spread=0.1)[0], drawn(200, seed=2, spread=2.0)[0]
    noise = np.random.default_rng(3).normal(size=(400, 2)).astype(np.float32)
    scored = np.concatenate([np.concatenate([inside, outside]), noise], axis=1)
    scores = scores_of(detector(), dead(features), labels, scored)
    assert auroc(scores[:200], scores[200:]) > 0.95


def test_no_squared_distance_is_negative_at_a_condition_number_of_1e10():
    turned = np.linalg.qr(np.random.default_rng(5).normal(size=(WIDTH, WIDTH))).Q
    shape = np.diag(np.logspace(0, -5, WIDTH)) @ turned.T  # variances from 1 to 1e-10
    features, labels = drawn(600, seed=0)
    scored = drawn(100, seed=1)[0]
    badly, alike = ((values @ shape).astype(np.float32) for values in (features, scored))
    scores = scores_of(Mahalanobis(), badly, labels, alike)
    assert (scores >= 0).all()
    expected = scores_of(Mahalanobis(), features, labels, scored)
    assert spearmanr(scores, expected).statistic > 0.999


def test_a_class_with_two_images_is_a_class():
    features, labels = drawn(200, seed=0)
    few = (labels < 2) | (np.arange(200) < 6)
    assert (labels[few] == 2).sum() == 2
    scored = drawn(50, seed=1)[0]
    to_classes, to_all = expected_distances(features[few], labels[few], scored)
    for detector, expected in (
        (Mahalanobis(), to_classes.min(axis=1) / 2),
        (RelativeMahalanobis(), to_classes.min(axis=1) - to_all),
    ):
        scores = scores_of(detector, features[few], labels[few], scored)
        np.testing.assert_allclose(scores, expected, rtol=1e-7)


def test_features_that_are_all_the_same_are_no_further_than_others():
    features, labels = np.ones((6, 4), np.float32), np.arange(6) % 3
    scores = scores_of(Mahalanobis(), features, labels, features + 1)
    assert (scores == 0).all()


class Centred(nn.Module):
    def forward(self, images):
        return images - 0.5


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param(
            Mahalanobis(), pytorch_ood.Mahalanobis(PROBLEM.classifier.features), id="mahalanobis"
        ),
        pytest.param(RelativeMahalanobis(), pytorch_ood.RMD(PROBLEM.classifier.features), id="rmd"),
        pytest.param(
            PerturbedMahalanobis(),
            pytorch_ood.MahalanobisODIN(PROBLEM.classifier.features),
            id="mahalanobis-odin",
        ),
        pytest.param(
            LayeredMahalanobis(),
            pytorch_ood.MultiMahalanobis([Centred(), PROBLEM.classifier.filters]),
            id="multi-mahalanobis",
        ),
    ],
)
def test_images_are_in_the_order_of_pytorch_ood(ours, theirs):
    """Its covariance is not divided by the number of images, which multiplies its distances."""
    theirs.fit([(PROBLEM.train_images, PROBLEM.train_labels)])
    fitted = fit(ours, PROBLEM)
    with torch.no_grad():
        scores = fitted.restored().score(fitted.batch(IMAGES))
    expected = theirs.predict(IMAGES).double() * len(PROBLEM.train_images)
    assert spearmanr(scores, expected).statistic > 0.9999
    torch.testing.assert_close(scores, expected, rtol=1e-2, atol=1e-2)


def test_a_step_towards_the_nearest_class_makes_images_nearer():
    fitted = fit(PerturbedMahalanobis(), PROBLEM)
    moved = fitted.trainable.score(fitted.batch(IMAGES))
    fitted = fit(Mahalanobis(), PROBLEM)
    assert (moved < fitted.trainable.score(fitted.batch(IMAGES))).all()
