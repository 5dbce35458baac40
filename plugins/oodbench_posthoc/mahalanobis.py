"""The Mahalanobis distance to the nearest class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from oodbench.contracts import Batch, Context, Detector, Info, Need, Paper, Stream
from oodbench_posthoc.gaussians import Gaussians, Values, moments_of
from oodbench_posthoc.principal import LearnsVariances

if TYPE_CHECKING:
    from torch import Tensor


class Mahalanobis(LearnsVariances, Detector):
    """Score by how far the features are from those of every class.

    s(x) = min_y (z - m_y)' S^+ (z - m_y) / 2, where z are the penultimate features, m_y is their
    mean over the training images of class y, and S^+ is the pseudo-inverse of the covariance about
    these means that all classes share (section 2.1 of the paper, equations 1 and 2).
    """

    family = "posthoc"
    original = "Mahalanobis"
    needs = frozenset({Need.FEATURES})
    info = Info(
        name="mahalanobis",
        title="Mahalanobis",
        summary="Large Mahalanobis distance of the features to the nearest class",
        paper=Paper(
            title="A Simple Unified Framework for Detecting Out-of-Distribution Samples and "
            "Adversarial Attacks",
            authors="Lee et al.",
            venue="NeurIPS",
            year=2018,
            url="https://arxiv.org/abs/1807.03888",
        ),
        deviations=(
            "Penultimate features alone: the paper adds a perturbation of the input, and weighs "
            "the scores of several layers by a regression on OOD images.",
        ),
    )

    def read(self, batch: Batch) -> Tensor:
        """Return the values of a batch whose distances are taken: (n, d)."""
        return batch.features

    def fit(self, train: Stream, context: Context) -> Self:
        """Learn the means and the covariance of the features, batch by batch."""
        self.keep(moments_of(Values(train, self.read), train.num_classes).of_classes())
        self.learned_from = len(train), len(self.origin_)
        return self

    def keep(self, gaussians: Gaussians) -> None:
        """Keep what was learned about the classes."""
        self.origin_ = gaussians.origin
        self.whitening_ = gaussians.whitening
        self.means_ = gaussians.means

    def score(self, batch: Batch) -> Tensor:
        """Return half the squared distance to the nearest class: (n,) float64."""
        return self.half_distance(self.read(batch))

    def half_distance(self, values: Tensor) -> Tensor:
        """Return half the squared distance of values (n, d) to the nearest class: (n,) float64."""
        gaussians = Gaussians(self.origin_, self.whitening_, self.means_)
        return gaussians.distances(values).amin(dim=1) / 2
