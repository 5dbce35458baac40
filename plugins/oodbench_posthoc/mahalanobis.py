"""The Mahalanobis distance to the nearest class."""

from __future__ import annotations

from oodbench.contracts import Context, Info, Paper, State, Stream
from oodbench_posthoc.streamed import StreamedAdapter, inverse_of, moments_of


class Mahalanobis(StreamedAdapter):
    """Score by how far the features are from those of every class.

    s(x) = min_y (z - m_y)' S^-1 (z - m_y) / 2, where z are the penultimate features, m_y is their
    mean over the training images of class y, and S is the covariance about these means that all
    classes share (section 2.1 of the paper, equations 1 and 2).
    """

    original = "Mahalanobis"
    by_class = True
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
            "The covariance is not divided by the number of images, but has 1e-6 added to its "
            "diagonal, which is then relative to it (pytorch-ood).",
        ),
    )

    def learn_from_stream(self, train: Stream, context: Context) -> State:
        """Return the means "mu" (k, d), and "cov" and its inverse "precision" (d, d), float32."""
        moments = moments_of(train)
        return {"mu": moments.means.float(), **inverse_of(moments.within)}
