"""RMD: the Mahalanobis distance to the nearest class, relative to that to all images."""

from __future__ import annotations

from oodbench.contracts import Context, Info, Paper, State, Stream
from oodbench_posthoc.streamed import StreamedAdapter, inverse_of, moments_of


class RelativeMahalanobis(StreamedAdapter):
    """Score by how much farther the features are from every class than from the data as a whole.

    s(x) = min_y (z - m_y)' S^-1 (z - m_y) - (z - m)' T^-1 (z - m), where z are the penultimate
    features, m_y their mean over the training images of class y and S the covariance about these
    means, m the mean over all training images and T the covariance about it (section 2 of the
    paper). What is unusual in every respect, class or not, cancels out.
    """

    original = "RMD"
    by_class = True
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
        deviations=(
            "The covariances are not divided by the number of images, but have 1e-6 added to "
            "their diagonals, which is then relative to it (pytorch-ood).",
        ),
    )

    def learn_from_stream(self, train: Stream, context: Context) -> State:
        """Return what `Mahalanobis` learns, and of all images the same as "background_..."."""
        moments = moments_of(train)
        background = {"mu": moments.mean.float(), **inverse_of(moments.total)}
        return {
            "mu": moments.means.float(),
            **inverse_of(moments.within),
            **{f"background_{name}": value for name, value in background.items()},
        }
