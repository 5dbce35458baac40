"""Libraries with a few detectors each: torch-uncertainty, oodkit, cleanlab and small ones."""

from __future__ import annotations

import contextlib
import io
import math
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn.functional import normalize
from torch.utils.data import DataLoader, TensorDataset

from .by_pytorch_ood import renamed
from .cases import Case
from .implementations import Parameters, computes


def _criterion(name: str, case: Case, ours: Parameters) -> Any:
    from torch_uncertainty import ood_criteria

    logits = case.logits.double()
    if name == "msp":
        return ood_criteria.get_ood_criterion(name)(logits.softmax(dim=1))
    values = logits.softmax(dim=1) if name == "entropy" else logits
    return ood_criteria.get_ood_criterion(name)(values[:, None])


for _ours, _theirs in {
    "msp": "msp",
    "maxlogit": "logit",
    "energy": "energy",
    "entropy": "entropy",
}.items():
    computes(_ours, by="torch-uncertainty")(partial(_criterion, _theirs))


@computes("temperature-scaling", by="torch-uncertainty")
def _scaled(case: Case, ours: Parameters) -> Any:
    from torch_uncertainty.post_processing.calibration import TemperatureScaler

    scaler = TemperatureScaler(torch.nn.Identity())
    held_out = TensorDataset(case.validation_logits.double(), case.validation_labels)
    with torch.enable_grad():
        scaler.fit(DataLoader(held_out, batch_size=256), progress=False)
    return -scaler(case.logits.double()).softmax(dim=1).amax(dim=1)


def _features(values: torch.Tensor, logits: torch.Tensor | None = None) -> Any:
    from oodkit import Features

    in_double = None if logits is None else logits.double().numpy()
    return Features(logits=in_double, embeddings=values.double().numpy())


def _oodkit(name: str, case: Case, ours: Parameters) -> Any:
    import oodkit

    tested = _features(case.scored, case.logits)
    settings = renamed(ours, temperature="temperature")
    return getattr(oodkit, name)(**settings).score(tested)


computes("msp", by="oodkit")(partial(_oodkit, "MSP"))
computes("energy", by="oodkit")(partial(_oodkit, "Energy"))


@computes("mahalanobis", by="oodkit")
def _mahalanobis(case: Case, ours: Parameters) -> Any:
    from oodkit import Mahalanobis

    fitted = Mahalanobis().fit(_features(case.train), y=case.labels)
    return fitted.score(_features(case.scored)) / 2


@computes("mahalanobis-pp", by="oodkit", parts=True)
def _mahalanobis_pp(case: Case, ours: Parameters) -> Any:
    from oodkit import Mahalanobis

    fitted = Mahalanobis().fit(_features(normalize(case.train)), y=case.labels)
    return fitted.score(_features(normalize(case.scored))) / 2


@computes("knn", by="oodkit")
def _knn(case: Case, ours: Parameters) -> Any:
    from oodkit import KNN

    train, tested = (
        each if ours is None else normalize(each) for each in (case.train, case.scored)
    )
    return KNN(**renamed(ours, k="neighbours")).fit(_features(train)).score(_features(tested))


@computes("vim", by="oodkit")
def _vim(case: Case, ours: Parameters) -> Any:
    return _fitted_vim(case, ours).score(_features(case.scored, case.logits))


@computes("residual", by="oodkit")
def _residual(case: Case, ours: Parameters) -> Any:
    fitted = _fitted_vim(case, ours)
    centred = fitted.center_features(case.scored.double().numpy(), fitted.origin)
    return fitted.compute_residual_norms(centred, fitted.R)


def _fitted_vim(case: Case, ours: Parameters) -> Any:
    from oodkit import ViM

    settings = {} if ours is None else {"n_components": case.principal_dimension}
    weight, bias = (each.double().numpy() for each in (case.head.weight, case.head.bias))
    return ViM(weight, bias, **settings).fit(_features(case.train, case.train_logits))


def _components(kernel: str, case: Case, ours: Parameters) -> Any:
    from oodkit import PCA

    detector = PCA(kernel=kernel, random_state=0, **_explained(ours))
    if ours is not None and kernel == "rff_cosine":
        drawn = case.fitted("kernel-pca")
        detector.rff_dim, detector.rff_gamma = len(drawn.shifts_), drawn.gamma
        detector._rng = _Drawn(drawn)
    scores = detector.fit(_features(case.train)).score(_features(case.scored))
    return scores**2 if kernel == "linear" else scores


def _explained(ours: Parameters) -> dict[str, Any]:
    if ours is None:
        return {}
    return {"pct_variance": ours["explained" if "explained" in ours else "variance"]}


class _Drawn:
    """The random numbers that ours has drawn, in the order in which oodkit draws them.

    Args:
        fitted: our detector.
    """

    def __init__(self, fitted: Any) -> None:
        self._fitted = fitted

    def standard_normal(self, shape: tuple[int, int]) -> np.ndarray:
        """Return the frequencies at standard deviation 1."""
        scale = np.sqrt(2 * self._fitted.gamma)
        frequencies: np.ndarray = self._fitted.frequencies_.numpy() / scale
        return frequencies

    def uniform(self, low: float, high: float, size: int) -> np.ndarray:
        """Return the shifts."""
        shifts: np.ndarray = self._fitted.shifts_.numpy()
        return shifts


computes("pca", by="oodkit")(partial(_components, "linear"))
computes("cop", by="oodkit")(partial(_components, "cosine"))
computes("kernel-pca", by="oodkit")(partial(_components, "rff_cosine"))


def _of_probabilities(method: str, case: Case, ours: Parameters) -> Any:
    from cleanlab.outlier import OutOfDistribution

    settings: dict[str, Any] = {"method": method, "adjust_pred_probs": False}
    probabilities = case.logits.double().softmax(dim=1).numpy()
    if method == "gen" and ours is not None:
        settings |= {"gamma": ours["gamma"], "M": case.num_classes}
        probabilities = case.logits.double().numpy()  # it takes the softmax itself
    scores = -OutOfDistribution(settings).score(pred_probs=probabilities)
    if method == "entropy":
        return (scores + 1) * math.log(case.num_classes)
    return scores + 1 if method == "gen" else scores


computes("msp", by="cleanlab")(partial(_of_probabilities, "least_confidence"))
computes("entropy", by="cleanlab")(partial(_of_probabilities, "entropy"))
computes("gen", by="cleanlab")(partial(_of_probabilities, "gen"))


@computes("margin", by="cleanlab")
def _margin(case: Case, ours: Parameters) -> Any:
    from cleanlab.rank import get_label_quality_scores

    probabilities = case.logits.double().softmax(dim=1).numpy()
    quality = get_label_quality_scores(
        probabilities.argmax(axis=1), probabilities, method="normalized_margin"
    )
    return 2 - 2 * quality


@computes("residual", by="ood-detectors")
def _residual_about_origin(case: Case, ours: Parameters) -> Any:
    from ood_detectors.residual import Residual

    settings: dict[str, Any] = {}
    if ours is not None:
        origin = -torch.linalg.pinv(case.head.weight.double()) @ case.head.bias.double()
        settings = {"dims": case.principal_dimension, "u": origin.float()}
    detector = Residual(**settings)
    detector.fit(case.train)
    return detector.predict(case.scored)


@computes("mahalanobis", by="ood-detection")
def _squared(case: Case, ours: Parameters) -> Any:
    from ood_detection.core import OODMetric, compute_mahalanobis_distance

    metric = OODMetric(case.train.double().numpy(), case.labels.numpy())
    with contextlib.redirect_stderr(io.StringIO()):
        squared = compute_mahalanobis_distance(
            case.scored.double().numpy(), metric.means, metric.covariance
        )
    return squared.min(axis=1) / 2


def _rmd(case: Case, train: torch.Tensor, tested: torch.Tensor) -> Any:
    from ood_detection.core import OODMetric

    metric = OODMetric(train.double().numpy(), case.labels.numpy())
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        return metric.compute_rmd(tested.double().numpy())


computes("rmd", by="ood-detection")(lambda case, ours: _rmd(case, case.train, case.scored))
computes("rmd-pp", by="ood-detection", parts=True)(
    lambda case, ours: _rmd(case, normalize(case.train), normalize(case.scored))
)
