"""pytorch-ood's detectors."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from pytorch_ood import detector
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.utils.data import DataLoader, TensorDataset

from .cases import Case
from .implementations import Parameters, computes

BY = "pytorch-ood"


def renamed(ours: Parameters, **names: str) -> dict[str, Any]:
    """Return our parameters by a library's ``names=ours``; nothing where its defaults count."""
    return {} if ours is None else {theirs: ours[own] for theirs, own in names.items()}


OF_LOGITS: Mapping[str, tuple[Callable[..., Any], Mapping[str, str]]] = {
    "msp": (detector.MaxSoftmax, {"t": "temperature"}),
    "maxlogit": (detector.MaxLogit, {}),
    "energy": (detector.EnergyBased, {"t": "temperature"}),
    "entropy": (detector.Entropy, {}),
    "gen": (detector.GEN, {"gamma": "gamma", "M": "top_classes"}),
}


def _of_logits(name: str, case: Case, ours: Parameters) -> Tensor:
    make, names = OF_LOGITS[name]
    return make(None, **renamed(ours, **names)).predict_logits(case.logits.double())


for _name in OF_LOGITS:
    computes(_name, by=BY)(partial(_of_logits, _name))


@computes("temperature-scaling", by=BY)
def _temperature_scaling(case: Case, ours: Parameters) -> Tensor:
    fitted = detector.TemperatureScaling(None)
    with torch.enable_grad():
        fitted.fit_logits(case.validation_logits.double(), case.validation_labels)
    return fitted.predict_logits(case.logits.double())


@computes("klmatching", by=BY)
def _klmatching(case: Case, ours: Parameters) -> Tensor:
    fitted = detector.KLMatching(None)
    fitted.fit_logits(case.validation_logits.double(), case.validation_labels)
    return fitted.predict_logits(case.logits.double())


@computes("openmax", by=BY)
def _openmax(case: Case, ours: Parameters) -> Tensor:
    names = {"tailsize": "tail", "alpha": "top_classes", "euclid_weight": "euclidean"}
    fitted = detector.OpenMax(None, **renamed(ours, **names))
    fitted.fit_logits(case.train_logits, case.labels)
    return fitted.predict_logits(case.logits)


OF_FEATURES: Mapping[str, Callable[[nn.Linear, Parameters], Any]] = {
    "mahalanobis": lambda head, ours: detector.Mahalanobis(None),
    "rmd": lambda head, ours: detector.RMD(None),
    "gmm": lambda head, ours: detector.GMM(None, **renamed(ours, reg="regularization")),
    "knn": lambda head, ours: detector.KNN(None, **renamed(ours, k="neighbours")),
    "she": lambda head, ours: detector.SHE(None, head),
    "fdbd": lambda head, ours: detector.fDBD(None, head),
    "nci": lambda head, ours: detector.NCI(None, head, **renamed(ours, alpha="norm_weight")),
    "nnguide": lambda head, ours: detector.NNGuide(None, head, **renamed(ours, k="neighbours")),
    "pnml": lambda head, ours: detector.PNML(None, head),
    "lts": lambda head, ours: detector.LTS(None, head, **renamed(ours, p="top_share")),
}

SUMMED = frozenset({"mahalanobis", "rmd"})
"""Detectors whose covariance is not divided by the number of training images."""


def _of_features(name: str, case: Case, ours: Parameters) -> Tensor:
    fitted = OF_FEATURES[name](case.head, ours)
    fitted.fit_features(case.train, case.labels)
    scores = fitted.predict_features(case.scored)
    return scores * len(case.train) if name in SUMMED else scores


for _name in OF_FEATURES:
    computes(_name, by=BY)(partial(_of_features, _name))


@computes("vim", by=BY, defaults=False)
def _vim(case: Case, ours: Parameters) -> Tensor:
    fitted = detector.ViM(None, case.principal_dimension, case.head.weight, case.head.bias)
    return fitted.fit_features(case.train, case.labels).predict_features(case.scored)


@computes("dice", by=BY, defaults=False)
def _dice(case: Case, ours: Parameters) -> Tensor:
    assert ours is not None
    fitted = detector.DICE(None, case.head.weight, case.head.bias, ours["sparsity"])
    return fitted.fit_features(case.train, case.labels).predict_features(case.scored)


def _of_directions(make: Callable[..., Any], case: Case, ours: Parameters) -> Tensor:
    fitted = make(None).fit_features(normalize(case.train), case.labels)
    return fitted.predict_features(normalize(case.scored)) * len(case.train)


computes("mahalanobis-pp", by=BY, parts=True)(partial(_of_directions, detector.Mahalanobis))
computes("rmd-pp", by=BY, parts=True)(partial(_of_directions, detector.RMD))


RECTIFYING: Mapping[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "react": (detector.ReAct, ("percentile",)),
    "vra": (detector.VRA, ("lower_percentile", "upper_percentile")),
    "ash": (detector.ASH, ("percentile", "variant")),
    "scale": (detector.SCALE, ("percentile",)),
}


def _rectifying(name: str, case: Case, ours: Parameters) -> Tensor:
    make, names = RECTIFYING[name]
    head = case.head
    fitted = make(
        None, lambda maps: head(maps.flatten(1)), **renamed(ours, **{each: each for each in names})
    )
    fitted.fit_feature_maps(case.train[:, :, None, None], case.labels)
    return fitted.predict_feature_maps(case.scored[:, :, None, None])


for _name in RECTIFYING:
    computes(_name, by=BY)(partial(_rectifying, _name))


@computes("gradnorm", by=BY)
def _gradnorm(case: Case, ours: Parameters) -> Tensor:
    settings = renamed(ours, temperature="temperature")
    made = detector.GradNorm(case.flat(), lambda name: name == "head.weight", **settings)
    return made.predict(case.scored)


@computes("graduncertainty", by=BY)
def _graduncertainty(case: Case, ours: Parameters) -> Tensor:
    chosen = None if ours is None else lambda name: name.startswith("head.")
    return detector.GradUncertainty(case.flat(), chosen).predict(case.scored)


@computes("odin", by=BY)
def _odin(case: Case, ours: Parameters) -> Tensor:
    settings = renamed(ours, eps="step", temperature="temperature")
    return detector.ODIN(case.taken_apart(torch.float64), **settings).predict(case.images)


@computes("mahalanobis-odin", by=BY)
def _mahalanobis_odin(case: Case, ours: Parameters) -> Tensor:
    made = detector.MahalanobisODIN(case.network.features, **renamed(ours, eps="step"))
    return made.fit_features(case.train, case.labels).predict(case.images) * len(case.train)


@computes("mcd", by=BY)
def _mcd(case: Case, ours: Parameters) -> Tensor:
    torch.manual_seed(0)
    settings = renamed(ours, samples="samples", mode="mode")
    made = detector.MCD(case.dropping().network, **settings)
    return made.predict(case.scored[:, None, None])


@computes("multi-mahalanobis", by=BY, maps=True)
def _multi_mahalanobis(case: Case, ours: Parameters) -> Tensor:
    train, scored = (
        [maps.mean(dim=(2, 3)) for maps in case.outputs(images).values()]
        for images in (case.train_images, case.images)
    )
    fitted = detector.MultiMahalanobis([nn.Identity() for _ in train])
    return fitted.fit_structured(train, case.labels).predict_structured(scored) * len(case.train)


@computes("gram", by=BY, maps=True)
def _gram(case: Case, ours: Parameters) -> Tensor:
    torch.manual_seed(0)
    powers = None if ours is None else list(range(1, ours["powers"] + 1))
    names = list(case.network.layers())
    fitted = detector.Gram(nn.Identity(), [nn.Identity() for _ in names], case.num_classes, powers)

    def passed(images: Tensor) -> tuple[Tensor, list[Tensor]]:
        return case.network(images), list(case.outputs(images).values())

    fitted._create_feature_list = passed  # its own passes images through layers one by one
    loader = DataLoader(TensorDataset(case.train_images, case.labels), batch_size=256)
    return fitted.fit(loader).predict(case.images)


@computes("rankfeat", by=BY, maps=True)
def _rankfeat(case: Case, ours: Parameters) -> Tensor:
    layers = case.inside(case.images).layers()
    names = list(layers.outputs)[-2:]
    if ours is None:
        made = detector.RankFeat(None, lambda maps: layers.resume(names[-1], maps))
        return made.predict_feature_maps(layers.outputs[names[-1]])
    kept: list[Tensor] = []
    for name in names:
        made = detector.RankFeat(None, partial(layers.resume, name), detector=kept.append)
        made.predict_feature_maps(layers.outputs[name])
    return -torch.stack(kept).mean(dim=0).logsumexp(dim=1)


@computes("nac-ue", by=BY, maps=True)
def _nac(case: Case, ours: Parameters) -> Tensor:
    network = copy.deepcopy(case.network).requires_grad_()
    *earlier, _ = network.layers().values()
    features = Pooled(network)
    settings: dict[str, Any] = {}
    if ours is not None:
        names = {"m_bins": "bins", "alpha": "steepness", "o_star": "full"}
        for theirs, own in names.items():
            numbers = [float(number) for number in ours[own].split(",")]
            last = len(numbers) - 1  # counts for all further layers; theirs come first
            settings[theirs] = [numbers[min(layer, last)] for layer in range(len(earlier), -1, -1)]
    made = detector.NACUE(features, [*earlier, features.pooled], **settings)
    made.fit(DataLoader(TensorDataset(case.train_images, case.labels), batch_size=256))
    return made.predict(case.images)


class Pooled(nn.Module):
    """A network whose features are the output of a module.

    Args:
        network: has ``features`` and ``head``.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network
        self.pooled = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (n, k) of images."""
        logits: Tensor = self.network.head(self.pooled(self.network.features(images)))
        return logits
