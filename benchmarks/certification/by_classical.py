"""Outlier detectors of scikit-learn and PyOD."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from sklearn import (
    covariance,
    decomposition,
    ensemble,
    kernel_approximation,
    mixture,
    neighbors,
    preprocessing,
    svm,
)

from .by_pytorch_ood import renamed
from .cases import Case
from .implementations import Parameters, computes

SKLEARN: Mapping[str, Any] = {
    "isolation-forest": (ensemble.IsolationForest, {"n_estimators": "trees"}),
    "one-class-svm": (svm.OneClassSVM, {"nu": "outside"}),
    "local-outlier-factor": (
        partial(neighbors.LocalOutlierFactor, novelty=True),
        {"n_neighbors": "neighbours"},
    ),
    "elliptic-envelope": (covariance.EllipticEnvelope, {"support_fraction": "support"}),
    "gaussian-mixture": (mixture.GaussianMixture, {"n_components": "components"}),
}

PYOD: Mapping[str, tuple[str, str, Mapping[str, str]]] = {
    "isolation-forest": ("iforest", "IForest", {"n_estimators": "trees"}),
    "one-class-svm": ("ocsvm", "OCSVM", {"nu": "outside"}),
    "local-outlier-factor": ("lof", "LOF", {"n_neighbors": "neighbours"}),
    "elliptic-envelope": ("mcd", "MCD", {"support_fraction": "support"}),
    "gaussian-mixture": ("gmm", "GMM", {"n_components": "components"}),
}

SHIFTED = frozenset({"isolation-forest", "one-class-svm"})
"""Detectors of PyOD that take the offset of scikit-learn's threshold from the scores."""

DRAWING = frozenset({"isolation-forest", "elliptic-envelope", "gaussian-mixture"})


def _arrays(case: Case) -> tuple[np.ndarray, np.ndarray]:
    return case.train.double().numpy(), case.scored.double().numpy()


def _seed(name: str) -> dict[str, int]:
    return {"random_state": 0} if name in DRAWING else {}


def _sklearn(name: str, case: Case, ours: Parameters) -> Any:
    train, tested = _arrays(case)
    make, names = SKLEARN[name]
    return -make(**renamed(ours, **names), **_seed(name)).fit(train).score_samples(tested)


def _pyod(name: str, case: Case, ours: Parameters) -> Any:
    import importlib

    train, tested = _arrays(case)
    module, made, names = PYOD[name]
    make = getattr(importlib.import_module(f"pyod.models.{module}"), made)
    settings = renamed(ours, **names)
    if name == "one-class-svm" and ours is not None:
        settings["gamma"] = "scale"
    fitted = make(**settings, **_seed(name)).fit(train)
    offset = fitted.detector_.offset_ if name in SHIFTED else 0.0
    return fitted.decision_function(tested) - offset


for _name in SKLEARN:
    computes(_name, by="scikit-learn")(partial(_sklearn, _name))
for _name in PYOD:
    computes(_name, by="pyod")(partial(_pyod, _name))


@computes("pca", by="scikit-learn", parts=True, defaults=False)
def _reconstructed(case: Case, ours: Parameters) -> Any:
    assert ours is not None
    return _left(*_arrays(case), ours["variance"]) ** 2


KERNELS = {"pca": "linear", "cop": "linear", "kernel-pca": "rbf"}


def _kernel(name: str, case: Case, ours: Parameters) -> Any:
    from pyod.models.kpca import KPCA

    assert ours is not None
    train, tested = _arrays(case)
    if name != "pca":
        train, tested = preprocessing.normalize(train), preprocessing.normalize(tested)
    settings = {"kernel": KERNELS[name], "gamma": ours.get("gamma")}
    variances = decomposition.KernelPCA(**settings).fit(train).eigenvalues_
    explained = np.cumsum(variances) / variances.sum()
    count = int(np.argmax(explained >= ours["variance" if name == "pca" else "explained"])) + 1
    fitted = KPCA(n_components=count, random_state=0, **settings).fit(train)
    squares = fitted.decision_function(tested)
    return squares if name == "pca" else np.sqrt(np.maximum(squares, 0))


for _name in KERNELS:
    computes(_name, by="pyod", defaults=False)(partial(_kernel, _name))


@computes("knn", by="pyod")
def _knn(case: Case, ours: Parameters) -> Any:
    from pyod.models.knn import KNN

    train, tested = _arrays(case)
    if ours is not None:
        train, tested = preprocessing.normalize(train), preprocessing.normalize(tested)
    return KNN(**renamed(ours, n_neighbors="neighbours")).fit(train).decision_function(tested)


@computes("gmm", by="scikit-learn", parts=True, defaults=False)
def _discriminant(case: Case, ours: Parameters) -> Any:
    """Return the negative log-likelihood under Gaussians whose moments are given."""
    assert ours is not None
    train, tested = _arrays(case)
    groups = [train[case.labels.numpy() == y] for y in range(case.num_classes)]
    mixed = mixture.GaussianMixture(len(groups))
    mixed.weights_ = np.array([len(each) / len(train) for each in groups])
    mixed.means_ = np.stack([each.mean(axis=0) for each in groups])
    precisions = []
    for each in groups:
        scatter = covariance.empirical_covariance(each)
        precisions.append(
            np.linalg.inv(scatter + ours["regularization"] * np.eye(scatter.shape[0]))
        )
    mixed.precisions_cholesky_ = np.stack([np.linalg.cholesky(each) for each in precisions])
    return -mixed.score_samples(tested)


@computes("cosine", by="scikit-learn", parts=True)
def _nearest_mean(case: Case, ours: Parameters) -> Any:
    train, tested = _arrays(case)
    means = np.stack(
        [train[case.labels.numpy() == y].mean(axis=0) for y in range(case.num_classes)]
    )
    nearest = neighbors.NearestNeighbors(n_neighbors=1, metric="cosine").fit(means)
    return nearest.kneighbors(tested)[0][:, 0] - 1


@computes("neco", by="scikit-learn", parts=True, defaults=False)
def _neco(case: Case, ours: Parameters) -> Any:
    train, tested = _arrays(case)
    scaler = preprocessing.StandardScaler().fit(train)
    values = scaler.transform(tested)
    principal = decomposition.PCA(train.shape[1] // 2).fit(scaler.transform(train))
    return -np.linalg.norm(values @ principal.components_.T, axis=1) / np.linalg.norm(
        values, axis=1
    )


@computes("cop", by="scikit-learn", parts=True, defaults=False)
def _cop(case: Case, ours: Parameters) -> Any:
    assert ours is not None
    train, tested = (preprocessing.normalize(each) for each in _arrays(case))
    return _left(train, tested, ours["explained"])


@computes("kernel-pca", by="scikit-learn", parts=True, defaults=False)
def _corp(case: Case, ours: Parameters) -> Any:
    assert ours is not None
    drawn = case.fitted("kernel-pca")
    sampler = kernel_approximation.RBFSampler(n_components=len(drawn.shifts_))
    train, tested = (preprocessing.normalize(each) for each in _arrays(case))
    sampler.fit(train)
    sampler.random_weights_ = drawn.frequencies_.numpy()
    sampler.random_offset_ = drawn.shifts_.numpy()
    return _left(sampler.transform(train), sampler.transform(tested), ours["explained"])


def _left(train: np.ndarray, tested: np.ndarray, share: float) -> np.ndarray:
    """Return what principal components that explain a share of the variance leave."""
    fitted = decomposition.PCA(share, svd_solver="full").fit(train)
    rest: np.ndarray = tested - fitted.inverse_transform(fitted.transform(tested))
    return np.linalg.norm(rest, axis=1)
