"""Score by the likeness to the stored pattern of the predicted class."""

from __future__ import annotations

from typing import Any, Self

from oodbench.contracts import Context, Info, Need, Paper, Stream
from oodbench_posthoc.adapter import FeaturesAdapter, check_classes, gather


class HopfieldEnergy(FeaturesAdapter):
    """Score by how little the features are like those of the predicted class (SHE).

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
        ),
    )
    needs = frozenset({Need.FEATURES, Need.CLASSIFIER})

    def fit(self, train: Stream, context: Context) -> Self:
        """Learn the pattern of each class.

        Raises:
            PluginError: if a class has no training images.
        """
        import torch

        features, labels = gather(train, self.read)
        check_classes(labels, train.num_classes)
        head: Any = context.classifier.head
        with torch.no_grad():
            right = head(features).argmax(dim=1) == labels
        patterns = []
        for number in range(train.num_classes):
            members = labels == number
            chosen = members & right
            patterns.append(features[chosen if chosen.any() else members].mean(dim=0))
        return self.restore({"patterns": torch.stack(patterns)}, context)
