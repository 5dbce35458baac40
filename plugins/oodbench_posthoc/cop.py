"""CoP: the error of reconstructing the features' direction from its principal components."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from oodbench.contracts import Batch, Context, Detector, Info, Need, Paper, Stream
from oodbench_posthoc.checks import check_share
from oodbench_posthoc.gaussians import Together, moments_of
from oodbench_posthoc.knn import directions
from oodbench_posthoc.principal import unexplained

if TYPE_CHECKING:
    from torch import Tensor


class CosinePrincipalComponents(Detector):
    """Score by what principal components leave of the features' direction (CoP).

    s(x) = |(I - U U')(z / |z| - m)|, where z are the penultimate features, m is the mean of z / |z|
    over the training images, and the columns of U are its principal components: as few as explain a
    share of the variance (PCA with the paper's cosine kernel).

    Args:
        explained: that share, in (0, 1); the authors take 0.85 for CIFAR-10, which is the default,
            and 0.99 for ImageNet.

    Raises:
        InvalidParameter: if it is outside of (0, 1).
    """

    family = "posthoc"
    needs = frozenset({Need.FEATURES})
    info = Info(
        name="cop",
        title="CoP",
        summary="Large error of reconstructing the features' direction from principal components",
        paper=Paper(
            title="Kernel PCA for Out-of-Distribution Detection",
            authors="Fang et al.",
            venue="NeurIPS",
            year=2024,
            url="https://arxiv.org/abs/2402.02949",
        ),
    )
    space: ClassVar = {"explained": (0.5, 0.7, 0.85, 0.9, 0.95, 0.99)}

    def __init__(self, *, explained: float = 0.85) -> None:
        check_share("explained", explained)
        self.explained = explained

    def read(self, batch: Batch) -> Tensor:
        """Return what is reconstructed: (n, d) float64."""
        return directions(batch.features.double())

    def fit(self, train: Stream, context: Context) -> Self:
        """Learn the mean and the principal components, batch by batch."""
        moments = moments_of(Together(train, self.read), 1)
        self.mean_ = moments.mean
        self.outside_ = unexplained(moments.total, self.explained)
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return the error: (n,) float64."""
        errors: Tensor = ((self.read(batch) - self.mean_) @ self.outside_).norm(dim=1)
        return errors
