"""oodeel's detectors, with its backend for PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.utils.data import DataLoader, TensorDataset

from .by_pytorch_ood import renamed
from .cases import Case
from .implementations import Parameters, computes

BY = "oodeel"


def scored(
    detector: Any,
    network: nn.Module,
    train: Tensor,
    labels: Tensor,
    images: Tensor,
    layers: Sequence[str] = ("penultimate",),
) -> np.ndarray:
    """Return the scores (m,) after a fit."""
    loader = DataLoader(TensorDataset(train, labels), batch_size=256)
    layers = list(layers) if hasattr(detector, "aggregator") else []
    detector.fit(network, loader, feature_layers_id=layers, head_layer_id="head")
    found: np.ndarray = detector.score(DataLoader(TensorDataset(images), batch_size=256))[0]
    return found


def _exact(ours: Parameters) -> dict[str, Any]:
    """Return the setting in which images are not perturbed before they are scored."""
    return {} if ours is None else {"eps": 0.0}


MADE: Mapping[str, Callable[[Any, Case, Parameters], Any]] = {
    "msp": lambda oodeel, case, ours: oodeel.MLS(output_activation="softmax"),
    "maxlogit": lambda oodeel, case, ours: oodeel.MLS(),
    "energy": lambda oodeel, case, ours: oodeel.Energy(),
    "entropy": lambda oodeel, case, ours: oodeel.Entropy(),
    "gen": lambda oodeel, case, ours: oodeel.GEN(**renamed(ours, gamma="gamma")),
    "mahalanobis": lambda oodeel, case, ours: oodeel.Mahalanobis(**_exact(ours)),
    "rmd": lambda oodeel, case, ours: oodeel.RMDS(**_exact(ours)),
    "she": lambda oodeel, case, ours: oodeel.SHE(**_exact(ours)),
    "knn": lambda oodeel, case, ours: oodeel.DKNN(**renamed(ours, nearest="neighbours")),
    "vim": lambda oodeel, case, ours: (
        oodeel.VIM()
        if ours is None
        else oodeel.VIM(princ_dims=case.principal_dimension, pca_origin="pseudo")
    ),
    "react": lambda oodeel, case, ours: oodeel.Energy(
        use_react=True, **renamed(ours, react_quantile="percentile")
    ),
    "ash": lambda oodeel, case, ours: oodeel.Energy(
        use_ash=True, **renamed(ours, ash_percentile="percentile")
    ),
    "scale": lambda oodeel, case, ours: oodeel.Energy(
        use_scale=True, **renamed(ours, scale_percentile="percentile")
    ),
}

IN_OUR_UNITS: Mapping[str, Callable[[np.ndarray, Case], np.ndarray]] = {
    "gen": lambda scores, case: scores / case.num_classes,
    "knn": lambda scores, case: np.sqrt(scores),
    "rmd": lambda scores, case: scores * 2,
    "she": lambda scores, case: scores * case.head.in_features,
}


def _made(name: str, case: Case, ours: Parameters) -> np.ndarray:
    from oodeel import methods

    made = MADE[name](methods, case, ours)
    found = scored(made, case.flat(), case.train, case.labels, case.scored)
    return IN_OUR_UNITS[name](found, case) if name in IN_OUR_UNITS else found


for _name in MADE:
    computes(_name, by=BY)(partial(_made, _name))


def _of_directions(name: str, case: Case, ours: Parameters) -> np.ndarray:
    from oodeel import methods

    train, tested = normalize(case.train), normalize(case.scored)
    return scored(getattr(methods, name)(eps=0.0), case.flat(), train, case.labels, tested)


computes("mahalanobis-pp", by=BY, parts=True, defaults=False)(
    partial(_of_directions, "Mahalanobis")
)
computes("rmd-pp", by=BY, parts=True, defaults=False)(partial(_of_directions, "RMDS"))


@computes("odin", by=BY)
def _odin(case: Case, ours: Parameters) -> np.ndarray:
    from oodeel import methods

    detector = methods.ODIN(**renamed(ours, temperature="temperature", eps="step"))
    network = case.taken_apart(torch.float64)
    return scored(detector, network, case.train_images, case.labels, case.images)


@computes("mahalanobis-odin", by=BY)
def _mahalanobis_odin(case: Case, ours: Parameters) -> np.ndarray:
    from oodeel import methods

    detector = methods.Mahalanobis(**renamed(ours, eps="step"))
    return scored(detector, case.taken_apart(), case.train_images, case.labels, case.images)


class Sum:
    """An aggregator that adds up the scores of layers."""

    def fit(self, per_layer_scores: list[np.ndarray]) -> None:
        """Learn nothing."""

    def aggregate(self, per_layer_scores: list[np.ndarray]) -> np.ndarray:
        """Return the sum (n,) of scores (n,) of each layer."""
        total: np.ndarray = np.sum(per_layer_scores, axis=0)
        return total


def _of_layers(detector: Any, case: Case) -> np.ndarray:
    """Return the scores by the maps of all layers."""
    places = {id(module): name for name, module in case.network.named_modules()}
    layers = [places[id(module)] for module in case.network.layers().values()]
    return scored(detector, case.network, case.train_images, case.labels, case.images, layers)


@computes("multi-mahalanobis", by=BY, maps=True)
def _multi_mahalanobis(case: Case, ours: Parameters) -> np.ndarray:
    from oodeel import methods

    settings: dict[str, Any] = {} if ours is None else {"eps": 0.0, "aggregator": Sum()}
    return _of_layers(methods.Mahalanobis(**settings), case)


@computes("gram", by=BY, maps=True)
def _gram(case: Case, ours: Parameters) -> np.ndarray:
    from oodeel import methods

    settings: dict[str, Any] = {}
    if ours is not None:
        orders = list(range(1, ours["powers"] + 1))
        settings = {"orders": orders, "quantile": 0.0, "aggregator": Sum()}
    return _of_layers(methods.Gram(**settings), case)
