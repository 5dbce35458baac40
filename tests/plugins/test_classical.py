"""The outlier detectors that scikit-learn computes from features."""

import numpy as np
import pytest
import torch
from sklearn import covariance, decomposition, ensemble, mixture, neighbors, svm

from oodbench.contracts import InvalidParameter, Need, parameters
from oodbench.testing import fit, toy_problem
from oodbench_classical.deep_isolation_forest import DeepIsolationForest, expected_depth
from oodbench_classical.elliptic_envelope import EllipticEnvelope
from oodbench_classical.gaussian_mixture import GaussianMixture
from oodbench_classical.isolation_forest import IsolationForest
from oodbench_classical.local_outlier_factor import LocalOutlierFactor
from oodbench_classical.one_class_svm import OneClassSvm
from oodbench_classical.pca import PrincipalComponents

PROBLEM = toy_problem()
IMAGES = torch.cat([PROBLEM.id_images, PROBLEM.ood_images])
ALL = [
    IsolationForest(),
    DeepIsolationForest(networks=5),
    OneClassSvm(),
    LocalOutlierFactor(),
    EllipticEnvelope(),
    PrincipalComponents(),
    GaussianMixture(),
]


def features_of(images):
    return PROBLEM.classifier.features(images).double().numpy()


def name(detector):
    return detector.info.name


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (IsolationForest(trees=20), ensemble.IsolationForest(n_estimators=20, random_state=0)),
        (OneClassSvm(outside=0.05), svm.OneClassSVM(nu=0.05)),
        (OneClassSvm(gamma=0.02), svm.OneClassSVM(nu=0.1, gamma=0.02)),
        (
            LocalOutlierFactor(neighbours=9),
            neighbors.LocalOutlierFactor(n_neighbors=9, novelty=True),
        ),
        (GaussianMixture(components=2), mixture.GaussianMixture(2, random_state=0)),
    ],
    ids=["isolation-forest", "one-class-svm", "its-width", "local-outlier-factor", "mixture"],
)
def test_scores_are_those_of_scikit_learn(ours, theirs):
    expected = -theirs.fit(features_of(PROBLEM.train_images)).score_samples(features_of(IMAGES))
    fitted = fit(ours, PROBLEM)
    for detector in (fitted.trainable, fitted.restored()):
        np.testing.assert_allclose(detector.score(fitted.batch(IMAGES)), expected, rtol=1e-9)


@pytest.mark.filterwarnings("ignore:The covariance matrix associated to your dataset:UserWarning")
def test_the_elliptic_envelope_is_that_of_scikit_learn():
    theirs = covariance.EllipticEnvelope(random_state=0, support_fraction=0.9)
    theirs.fit(features_of(PROBLEM.train_images))
    fitted = fit(EllipticEnvelope(), PROBLEM)
    scores = fitted.restored().score(fitted.batch(IMAGES))
    np.testing.assert_allclose(scores, theirs.mahalanobis(features_of(IMAGES)), rtol=1e-6)


def test_pca_scores_by_the_error_of_the_reconstruction():
    theirs = decomposition.PCA(0.9).fit(features_of(PROBLEM.train_images))
    features = features_of(IMAGES)
    error = ((features - theirs.inverse_transform(theirs.transform(features))) ** 2).sum(axis=1)
    fitted = fit(PrincipalComponents(variance=0.9), PROBLEM)
    np.testing.assert_allclose(fitted.restored().score(fitted.batch(IMAGES)), error, rtol=1e-6)


def test_the_deep_isolation_forest_is_that_of_the_formula():
    features = features_of(PROBLEM.train_images)
    forests = DeepIsolationForest(networks=2, trees=3).estimator().fit(features)
    low, extent = features.min(axis=0), np.ptp(features, axis=0)
    queries = features_of(IMAGES[::20])
    expected = np.zeros(len(queries))
    for layers, mean, deviation, forest in forests.members:

        def outputs(of, layers=layers):
            first, second, last = (each.astype(np.float64) for each in layers)
            scaled = (of - low) / np.where(extent > 0, extent, 1)
            return np.tanh(np.tanh(scaled @ first) @ second) @ last

        np.testing.assert_allclose(outputs(features).mean(axis=0), mean, rtol=1e-3, atol=1e-3)
        values = np.tanh((outputs(queries) - mean) / deviation).astype(np.float32)
        for number, value in enumerate(values):
            depths, distances = [], []
            for estimator in forest.estimators_:
                tree, node, away = estimator.tree_, 0, []
                while tree.feature[node] >= 0:
                    at = float(value[tree.feature[node]])
                    away.append(abs(at - tree.threshold[node]))
                    left = at <= tree.threshold[node]
                    node = (tree.children_left if left else tree.children_right)[node]
                depths.append(len(away) + expected_depth(tree.n_node_samples[node]))
                distances.append(np.mean(away))
            isolated = 2 ** (-np.mean(depths) / expected_depth(np.array(256)))
            expected[number] += isolated * np.mean(distances) / 2
    np.testing.assert_allclose(-forests.score_samples(queries), expected, rtol=0.02)


@pytest.mark.parametrize("detector", ALL, ids=name)
def test_no_more_images_are_learned_from_than_the_sample(detector):
    small = type(detector)(**{**parameters(detector), "sample": 100})
    state = fit(small, PROBLEM).trainable.state()
    if "features" in state:
        assert len(state["features"]) == 100
    batch = fit(small, PROBLEM).batch(IMAGES)
    whole = fit(detector, PROBLEM).trainable.score(batch)
    assert not torch.equal(fit(small, PROBLEM).trainable.score(batch), whole)


def test_numbers_that_make_no_sense_are_refused():
    with pytest.raises(InvalidParameter, match="trees must be a whole number of at least 1"):
        IsolationForest(trees=0)
    with pytest.raises(InvalidParameter, match="outside must be greater than 0 and at most 1"):
        OneClassSvm(outside=0.0)
    with pytest.raises(InvalidParameter, match="gamma must be greater than 0, not nan"):
        OneClassSvm(gamma=float("nan"))
    with pytest.raises(InvalidParameter, match=r"neighbours \(20\) must be fewer than the sample"):
        LocalOutlierFactor(sample=10)
    with pytest.raises(InvalidParameter, match=r"support must be greater than 0\.5"):
        EllipticEnvelope(support=0.5)
    with pytest.raises(InvalidParameter, match="variance must be greater than 0"):
        PrincipalComponents(variance=1.0)


@pytest.mark.parametrize("detector", ALL, ids=name)
def test_without_a_classifier_the_same_parameters_judge_pixels(detector):
    found = detector.without_classifier()
    assert parameters(found) == parameters(detector)
    assert found.needs == {Need.INPUTS}
    assert found.info.deviations[-1] == "On pixels, since there is no classifier."


def test_pixels_are_scored_as_scikit_learn_does():
    pixels = [each.flatten(1).double().numpy() for each in (PROBLEM.train_images, IMAGES)]
    expected = -svm.OneClassSVM(nu=0.05).fit(pixels[0]).score_samples(pixels[1])
    fitted = fit(OneClassSvm(outside=0.05).without_classifier(), PROBLEM)
    for detector in (fitted.trainable, fitted.restored()):
        np.testing.assert_allclose(detector.score(fitted.batch(IMAGES)), expected, rtol=1e-9)
