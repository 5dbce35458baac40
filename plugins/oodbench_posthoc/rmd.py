"""RMD: the Mahalanobis distance to the nearest class, relative to that to all images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from oodbench.contracts import Batch, Context, Info, Paper, Stream
from oodbench_posthoc.gaussians import Values, moments_of
from oodbench_posthoc.mahalanobis import Mahalanobis

if TYPE_CHECKING:
    from torch import Tensor


class RelativeMahalanobis(Mahalanobis):
    """Score by how much farther the features are from every class than from the data as a whole.

    s(x) = min_y (z - m_y)' S^+ (z - m_y) - (z - m)' T^+ (z - m), where z are the penultimate
    features, m_y their mean over the training images of class y and S the covariance about these
    means, m the mean over all training images and T the covariance about it (section 2 of the
    paper); S^+ is the pseudo-inverse of S. What is unusual in every respect, class or not, cancels
    out.
    """

    original = "RMD"
    info = Info(
        name="rmd",
        title="RMD",
        summary="Large Mahalanobis distance to the nearest class, relative to that to all images",
        paper=Paper(
            title="A Simple Fix to Mahalanobis Distance for Improving Near-OOD Detection",
            authors="Ren et al.",
            venue="ICML Workshop on Uncertainty and Robustness in Deep Learning",
            year=2021,
            url="https://arxiv.org/abs/2106.09022",
        ),
    )

    def fit(self, train: Stream, context: Context) -> Self:
        """Learn the means and covariances of the features, batch by batch."""
        moments = moments_of(Values(train, self.read), train.num_classes)
        self.keep(moments.of_classes())
        self.background_ = moments.of_all().whitening
        self.learned_from = len(train), len(self.origin_)
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return the difference of the squared distances: (n,) float64."""
        values = self.read(batch)
        background = ((values.double() - self.origin_) @ self.background_).square().sum(dim=1)
        return 2 * self.half_distance(values) - background
