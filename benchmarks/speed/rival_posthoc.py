"""Do with pytorch-ood what ``--detectors all-posthoc`` does, as its documentation says."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from pytorch_ood import api, detector
from pytorch_ood.metrics import OODMetrics
from rival import Sets
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

PER_SAMPLE = (detector.GradNorm, detector.GradUncertainty)
"""Detectors that pass images in a way (vmap) in which a hook sees one image for all of them."""


class Scaled(nn.Module):
    """Normalise images as the classifiers that ship do."""

    def forward(self, images: Tensor) -> Tensor:
        """Map images in [0, 1] to [-1, 1]."""
        return (images - 0.5) * 2


class InDouble(nn.Module):
    """Turn logits into float64, in which we score them too: GEN's 1 - p is rounding in float32."""

    def forward(self, logits: Tensor) -> Tensor:
        """Map logits to logits."""
        return logits.double()


class ViMInDouble(detector.ViM):
    """ViM with the eigenvectors and the scale of float64, as ours has them.

    Those of a covariance in float32 change with the last digits of the features: scores of the same
    images then differ by 2e-4 of each other.
    """

    @torch.no_grad()
    def fit_features(self, features: Tensor, labels: Tensor) -> ViMInDouble:
        """Learn what pytorch-ood's fit does, by the same formulas."""
        centred = features.double() - self.u.double()
        vectors = torch.linalg.eigh(centred.T @ centred).eigenvectors
        outside = vectors[:, : features.shape[1] - self.d]
        logits = features.double() @ self.w.double().T + self.b.double()
        self.principal_subspace = outside.float().contiguous()
        self.alpha = float(logits.amax(1).mean() / (centred @ outside).norm(dim=1).mean())
        return self


class PNMLInDouble(detector.PNML):
    """pNML with the pseudo-inverse of float64, as ours has it."""

    def fit_features(self, features: Tensor, labels: Tensor) -> PNMLInDouble:
        """Learn what pytorch-ood's fit does, from features in float64."""
        super().fit_features(features.double(), labels)
        self._feature_projector = self._feature_projector.float()
        return self


def means_and_precision(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return means (k, d) and the pseudo-inverse of the covariance (d, d), float64, as ours are."""
    features = features.double()
    means = torch.stack([features[labels == y].mean(dim=0) for y in range(int(labels.max()) + 1)])
    away = features - means[labels]
    return means, torch.linalg.pinv(away.T @ away / len(features), hermitian=True)


class MahalanobisInDouble(detector.Mahalanobis):
    """The Mahalanobis distance by a pseudo-inverse in float64."""

    def fit_features(self, z: Tensor, y: Tensor) -> MahalanobisInDouble:
        """Learn what pytorch-ood's fit does, but for what its docstring says."""
        self.mu, self.precision = means_and_precision(z, y)
        return self


class RMDInDouble(detector.RMD):
    """RMD by pseudo-inverses in float64."""

    def fit_features(self, z: Tensor, y: Tensor) -> RMDInDouble:
        """Learn what pytorch-ood's fit does, but for what its docstring says."""
        self.mu, self.precision = means_and_precision(z, y)
        mean, self.background_precision = means_and_precision(z, torch.zeros_like(y))
        self.background_mu = mean[0]
        return self


class MahalanobisODINInDouble(detector.MahalanobisODIN):
    """The same of images that are moved.

    Args:
        encoder: maps images to features (n, d).
    """

    def __init__(self, encoder: Callable[[Tensor], Tensor]) -> None:
        super().__init__(encoder)
        self._base = MahalanobisInDouble(encoder)


class MultiMahalanobisInDouble(detector.MultiMahalanobis):
    """The same of several layers."""

    def fit_structured(self, zs: list[Tensor], y: Tensor) -> MultiMahalanobisInDouble:
        """Learn what pytorch-ood's fit does, but for what its docstring says."""
        found = [means_and_precision(z, y) for z in zs]
        self.mu, self.precision = (list(each) for each in zip(*found, strict=True))
        return self


class Rectified(detector.VRA):
    """VRA that sets low features to 0, as the paper has it."""

    def _clip(self, z: Tensor) -> Tensor:
        return torch.where(z < self._lower_threshold, 0, torch.minimum(z, self._upper_threshold))


class OpenMaxOfCorrect(detector.OpenMax):
    """OpenMax of the training images that are classified correctly, as the paper has it."""

    def fit_logits(self, logits: Tensor, y: Tensor) -> OpenMaxOfCorrect:
        """Learn what pytorch-ood's fit does, from these images."""
        correct = logits.argmax(dim=1) == y
        super().fit_logits(logits[correct], y[correct])
        return self


class Parts:
    """A classifier of `oodbench_classifiers`, taken apart as the constructors want it.

    Args:
        classifier: frozen, in evaluation mode.
        num_classes: k.

    Attributes:
        whole: maps images to logits (n, k).
        encoder: maps images to features (n, d).
        head: the last layer.
        layers: the layers that detectors look into, each to be applied to what the one before it
            puts out.
    """

    def __init__(self, classifier: Any, num_classes: int) -> None:
        looked_into = [*classifier.layers().values()]
        steps = [Scaled(), *classifier.backbone, classifier.norm, classifier.activation]
        ends = [0, *(n + 1 for n, each in enumerate(steps) if _is_one_of(each, looked_into))]
        self.whole = classifier
        self.encoder = classifier.features
        self.head = classifier.head
        self.num_classes = num_classes
        self.layers = [nn.Sequential(*steps[start:end]) for start, end in pairwise(ends)]

    def after_layers(self, maps: Tensor) -> Tensor:
        """Map what the last of the layers puts out to logits."""
        return self.head(maps.mean((2, 3)))

    def feature_maps(self, images: Tensor) -> Tensor:
        """Map images to features, as maps of one place (n, d, 1, 1)."""
        return self.encoder(images)[:, :, None, None]

    def after_features(self, maps: Tensor) -> Tensor:
        """Map such maps to logits."""
        return self.head(maps.flatten(1))


def _is_one_of(module: nn.Module, others: list[nn.Module]) -> bool:
    return any(module is other for other in others)


def _nac(parts: Parts) -> api.Detector:
    """Return NAC-UE, which fails on a network that is frozen."""
    unfrozen = copy.deepcopy(parts.whole).requires_grad_()
    places = {id(each): name for name, each in parts.whole.named_modules()}
    ends = [places[id(layer[-1])] for layer in parts.layers]
    return detector.NACUE(unfrozen, [unfrozen.get_submodule(name) for name in ends])


ON_VALIDATION = frozenset({"temperature-scaling", "klmatching"})
"""Detectors that are fitted on validation images."""

DETECTORS: Mapping[str, Callable[[Parts], api.Detector]] = {
    "msp": lambda p: detector.MaxSoftmax(p.whole),
    "maxlogit": lambda p: detector.MaxLogit(p.whole),
    "energy": lambda p: detector.EnergyBased(p.whole),
    "entropy": lambda p: detector.Entropy(p.whole),
    "gen": lambda p: detector.GEN(nn.Sequential(p.whole, InDouble())),
    "temperature-scaling": lambda p: detector.TemperatureScaling(p.whole),
    "klmatching": lambda p: detector.KLMatching(p.whole),
    "openmax": lambda p: OpenMaxOfCorrect(p.whole, 20),
    "mahalanobis": lambda p: MahalanobisInDouble(p.encoder),
    "rmd": lambda p: RMDInDouble(p.encoder),
    "knn": lambda p: detector.KNN(p.encoder),
    "vim": lambda p: ViMInDouble(p.encoder, p.head.in_features // 2, p.head.weight, p.head.bias),
    "she": lambda p: detector.SHE(p.encoder, p.head),
    "fdbd": lambda p: detector.fDBD(p.encoder, p.head),
    "gmm": lambda p: detector.GMM(p.encoder),
    "nci": lambda p: detector.NCI(p.encoder, p.head),
    "nnguide": lambda p: detector.NNGuide(p.encoder, p.head),
    "pnml": lambda p: PNMLInDouble(p.encoder, p.head),
    "dice": lambda p: detector.DICE(p.encoder, p.head.weight, p.head.bias, 0.9),
    "lts": lambda p: detector.LTS(p.encoder, p.head),
    "react": lambda p: detector.ReAct(p.feature_maps, p.after_features),
    "vra": lambda p: Rectified(p.feature_maps, p.after_features, 0.6, 0.9),
    "ash": lambda p: detector.ASH(p.feature_maps, p.after_features, "ash-s", 0.95),
    "scale": lambda p: detector.SCALE(p.feature_maps, p.after_features, 0.85),
    "gradnorm": lambda p: detector.GradNorm(p.whole, lambda name: name == "head.weight"),
    "graduncertainty": lambda p: detector.GradUncertainty(
        p.whole, lambda name: name.startswith("head.")
    ),
    "odin": lambda p: detector.ODIN(p.whole),
    "mahalanobis-odin": lambda p: MahalanobisODINInDouble(p.encoder),
    "rankfeat": lambda p: detector.RankFeat(nn.Sequential(*p.layers), p.after_layers),
    "multi-mahalanobis": lambda p: MultiMahalanobisInDouble(p.layers),
    "gram": lambda p: detector.Gram(p.after_layers, p.layers, p.num_classes),
    "nac-ue": _nac,
}
"""How to make detectors from a classifier, by our names for them and with our parameters."""


@dataclass
class Measured:
    """What a detector of pytorch-ood did.

    Attributes:
        seconds: for fitting and for evaluating on all OOD sets.
        scores: (n,) by OOD set, those of the ID test images first.
        metrics: what `OODMetrics` says, by OOD set.
    """

    seconds: float
    scores: dict[str, Tensor]
    metrics: dict[str, Mapping[str, float]]


class Passes:
    """Counts the images that pass through a classifier, or parts of it that begin where it does."""

    def __init__(self) -> None:
        self.images = 0

    @contextmanager
    def of(self, classifier: nn.Module) -> Iterator[None]:
        """Count them within the block."""
        first = next(each for each in classifier.modules() if not list(each.children()))
        handle = first.register_forward_pre_hook(self._count)
        try:
            yield
        finally:
            handle.remove()

    def _count(self, _: nn.Module, inputs: tuple[Tensor]) -> None:
        self.images += len(inputs[0])


def evaluate(
    names: list[str],
    sets: Sets,
    classifier: nn.Module,
    *,
    num_classes: int,
    batch_size: int,
) -> tuple[dict[str, Measured], int]:
    """Fit detectors and evaluate them on every OOD set, one after the other.

    Each detector gets a data loader of its own: pytorch-ood keeps nothing between detectors.

    Returns:
        What was measured, by name, and the number of images that passed through the classifier.
    """
    passes = Passes()
    with passes.of(classifier):
        parts = Parts(classifier, num_classes)
        found = {name: _measure(name, parts, sets, batch_size, passes) for name in names}
    return found, passes.images


def _measure(name: str, parts: Parts, sets: Sets, size: int, passes: Passes) -> Measured:
    """Fit and evaluate a detector, without gradients where it needs none."""
    started = time.perf_counter()
    torch.manual_seed(0)  # as a run does before it fits: Gram draws which images to hold out
    made = DETECTORS[name](parts)
    if made.requires_fit:
        learned_from = sets.validation if name in ON_VALIDATION else sets.train_set()
        made.fit(DataLoader(learned_from, batch_size=size))
    with nullcontext() if isinstance(made, api.GradientDetector) else torch.no_grad():
        evaluated = {
            name: _scores_of(made, test, size, passes)
            for name, test in zip(sets.ood_names, sets.test_sets(), strict=True)
        }
    return Measured(
        time.perf_counter() - started,
        {name: scores for name, (scores, _) in evaluated.items()},
        {name: metrics for name, (_, metrics) in evaluated.items()},
    )


def _scores_of(
    made: api.Detector, test: Dataset, size: int, passes: Passes
) -> tuple[Tensor, Mapping[str, float]]:
    metrics, scores = OODMetrics(), []
    for images, labels in DataLoader(test, batch_size=size):
        before = passes.images
        scores.append(made(images).detach())
        metrics.update(scores[-1], labels)
        if isinstance(made, PER_SAMPLE):
            passes.images = before + len(images)
    return torch.cat(scores), metrics.compute()
