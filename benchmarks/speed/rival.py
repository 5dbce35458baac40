"""Do with pytorch-ood what a run does: fit its detectors, and evaluate them on every OOD set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pytorch_ood import detector
from pytorch_ood.benchmark import Benchmark
from pytorch_ood.utils import extract_features
from torch.utils.data import ConcatDataset, DataLoader, Dataset, TensorDataset

if TYPE_CHECKING:
    from pytorch_ood.api import Detector
    from torch import Tensor, nn

    Encoder = Callable[[Tensor], Tensor]

ON_LOGITS: Mapping[str, Callable[[nn.Module], Detector]] = {
    "msp": detector.MaxSoftmax,
    "maxlogit": detector.MaxLogit,
    "energy": detector.EnergyBased,
    "entropy": detector.Entropy,
    "gen": detector.GEN,
}
"""How to make detectors from a network, by our names for them."""

ON_FEATURES: Mapping[str, Callable[[Encoder, nn.Linear], Detector]] = {
    "mahalanobis": lambda encoder, _: detector.Mahalanobis(encoder),
    "rmd": lambda encoder, _: detector.RMD(encoder),
    "knn": lambda encoder, _: detector.KNN(encoder),
    "vim": lambda encoder, head: detector.ViM(
        encoder, head.in_features // 2, head.weight, head.bias
    ),
    "she": lambda encoder, head: detector.SHE(encoder, head),
}
"""How to make detectors that are to be fitted from an encoder and the last layer."""

DETECTORS = (*ON_LOGITS, *ON_FEATURES)


class Sets(Benchmark):
    """A benchmark of pytorch-ood: each OOD set together with the ID test images.

    Args:
        train: ID training images (n, c, h, w) float and labels (n,).
        test: ID test images and labels.
        ood: OOD images with labels of -1, by name.
        validation: ID validation images and labels.

    Attributes:
        validation: the same.
    """

    def __init__(
        self, train: Dataset, test: Dataset, ood: Mapping[str, Dataset], validation: Dataset
    ) -> None:
        self.validation = validation
        self.ood_names = list(ood)
        self._train = train
        self._test = test
        self._ood = ood

    def train_set(self) -> Dataset:
        """Return the ID training images."""
        return self._train

    def test_sets(self, known: bool = True, unknown: bool = True) -> list[Dataset]:
        """Return the ID test images, the OOD sets, or each OOD set with the ID test images."""
        if not unknown:
            return [self._test]
        if not known:
            return list(self._ood.values())
        return [ConcatDataset([self._test, each]) for each in self._ood.values()]


def labelled(images: Tensor, labels: Tensor) -> Dataset:
    """Return images (n, c, h, w) uint8 as a data set of floats in [0, 1]."""
    return TensorDataset(images.float().div_(255), labels)


def evaluate(sets: Sets, network: nn.Module, batch_size: int) -> dict[tuple[str, str], float]:
    """Fit and evaluate `DETECTORS`; return the AUROC by detector and OOD set.

    Args:
        sets: the images.
        network: maps images to logits, and has ``features`` and a linear ``head``.
        batch_size: images in a forward pass.
    """
    encoder = network.features  # one object for all, since it is what pytorch-ood's cache goes by
    made = {name: make(network) for name, make in ON_LOGITS.items()}
    features, labels = extract_features(
        DataLoader(sets.train_set(), batch_size=batch_size), encoder, "cpu"
    )
    for name, make in ON_FEATURES.items():
        made[name] = make(encoder, network.head).fit_features(features, labels)
    rows = sets.evaluate(list(made.values()), loader_kwargs={"batch_size": batch_size})
    names = {type(each).__name__: name for name, each in made.items()}
    return {(names[row["Detector"]], row["Dataset"]): float(row["AUROC"]) for row in rows}
