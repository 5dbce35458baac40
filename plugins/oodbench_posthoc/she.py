"""SHE: the similarity to the stored pattern of the predicted class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from oodbench.contracts import Context, Info, Need, Paper, Stream
from oodbench_posthoc.adapter import FeaturesAdapter

if TYPE_CHECKING:
    from torch import Tensor


class HopfieldEnergy(FeaturesAdapter):
    """Score by how little the features resemble those of the predicted class (SHE).

    s(x) = -z' m_y, where z are the penultimate features, y is the predicted class, and m_y is the
    mean of the features of the training images of class y that are classified correctly (section
    3 of the paper, the simplified Hopfield energy).
    """

    original = "SHE"
    info = Info(
        name="she",
        title="SHE",
        summary="Small product of the features with the mean features of the predicted class",
        paper=Paper(
            title="Out-of-Distribution Detection based on In-Distribution Data Patterns "
            "Memorization with Modern Hopfield Energy",
            authors="Zhang et al.",
            venue="ICLR",
            year=2023,
            url="https://openreview.net/forum?id=KkazG4lgKL",
        ),
        deviations=(
            "The pattern of a class of which no training image is classified correctly is the mean "
            "of all of them.",
            "Classes without training images are never taken for the predicted one.",
        ),
    )
    needs = frozenset({Need.FEATURES, Need.CLASSIFIER})

    def fit(self, train: Stream, context: Context) -> Self:
        """Learn the pattern of each class, batch by batch."""
        import torch

        head: Any = context.classifier.head
        first = next(iter(train)).features
        everybody, right = (_Sums(train.num_classes, first) for _ in range(2))
        for batch in train:
            with torch.no_grad():
                correct = head(batch.features).argmax(dim=1) == batch.labels
            everybody.add(batch.features, batch.labels)
            right.add(batch.features[correct], batch.labels[correct])
        never = right.counts == 0
        means = torch.where(never[:, None], everybody.means(), right.means())
        classes = everybody.counts.nonzero()[:, 0]
        return self.restore({"patterns": means[classes].float(), "classes": classes}, context)

    def judge(self, original: Any, values: Tensor) -> Tensor:
        """Return the negative product of features (n, d) with the pattern of their class: (n,)."""
        predicted = original.head(values)[:, original.classes].argmax(dim=1)
        scores: Tensor = -(values * original.patterns[predicted]).sum(dim=1)
        return scores


class _Sums:
    """Sums of features by class, in float64.

    Args:
        classes: their number.
        like: features (n, d) on the device to compute on.
    """

    def __init__(self, classes: int, like: Tensor) -> None:
        import torch

        self.counts = torch.zeros(classes, dtype=torch.int64, device=like.device)
        self._sums = like.new_zeros((classes, like.shape[1]), dtype=torch.float64)

    def add(self, features: Tensor, labels: Tensor) -> None:
        """Add features (n, d) of images of classes (n,)."""
        self.counts += labels.bincount(minlength=len(self.counts))
        self._sums.index_add_(0, labels, features.double())

    def means(self) -> Tensor:
        """Return the mean features (k, d) of each class, NaN where it has none."""
        return self._sums / self.counts[:, None]
