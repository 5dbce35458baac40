"""CTM: the cosine between the features and the mean features of the classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from oodbench.contracts import Batch, Context, Detector, Info, Need, Paper, Stream
from oodbench_posthoc.gaussians import Values, means_of
from oodbench_posthoc.knn import directions

if TYPE_CHECKING:
    from torch import Tensor


class CosineSimilarity(Detector):
    """Score by how little the features point to the mean of any class (CTM).

    s(x) = -max_y cos(z, m_y), in [-1, 1], where z are the penultimate features and m_y is their
    mean over the training images of class y.
    """

    family = "posthoc"
    needs = frozenset({Need.FEATURES})
    info = Info(
        name="cosine",
        title="CTM",
        summary="Small cosine between the features and the nearest class's mean features",
        paper=Paper(
            title="A Cosine Similarity-based Method for Out-of-Distribution Detection",
            authors="Ngoc-Hieu et al.",
            venue="ICML Workshop on Spurious Correlations, Invariance and Stability",
            year=2023,
            url="https://arxiv.org/abs/2306.14920",
        ),
    )

    def fit(self, train: Stream, context: Context) -> Self:
        """Learn the direction of each class's mean, batch by batch."""
        values = Values(train, lambda batch: batch.features)
        self.directions_ = directions(means_of(values, train.num_classes))
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return the negative cosine: (n,) float64."""
        return -(directions(batch.features.double()) @ self.directions_.T).amax(dim=1)
