"""A detector to copy: score by the distance to the nearest class mean of the features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from oodbench.contracts import Batch, Context, Detector, Info, Need, Paper, Stream, hookimpl

if TYPE_CHECKING:
    from torch import Tensor


class NearestMean(Detector):
    """Score by the distance to the nearest class mean of the features.

    s(x) = min_c ||z(x) - m_c||, where z(x) are the classifier's penultimate features and m_c is
    the mean of the training images' features of class c. The paper (section 2.1, equation 2)
    measures the distance by the covariance of the features; here it is Euclidean.

    Args:
        normalize: whether features are scaled to length 1 first, so that their direction alone
            counts.

    Attributes:
        means_: (c, d) float32, the mean features of each class that has training images.
    """

    info = Info(
        name="nearest-mean",
        title="Nearest mean",
        summary="Large distance to the nearest class mean of the features",
        paper=Paper(
            title="A Simple Unified Framework for Detecting Out-of-Distribution Samples "
            "and Adversarial Attacks",
            authors="Lee et al.",
            venue="NeurIPS",
            year=2018,
            url="https://arxiv.org/abs/1807.03888",
        ),
        deviations=(
            "The distance is Euclidean: the covariance of the features is not estimated.",
            "Penultimate features alone are used, and inputs are not perturbed.",
        ),
    )
    needs = frozenset({Need.FEATURES})
    space: ClassVar = {"normalize": (False, True)}

    def __init__(self, *, normalize: bool = False) -> None:
        self.normalize = normalize

    def fit(self, train: Stream, context: Context) -> Self:
        """Learn the class means, batch by batch."""
        import torch

        sums = counts = torch.zeros((), dtype=torch.float64, device=context.device)
        for batch in train:
            members = torch.nn.functional.one_hot(batch.labels, context.num_classes).double()
            sums = sums + members.T @ self._prepared(batch.features).double()
            counts = counts + members.sum(dim=0)
        seen = counts > 0
        self.means_ = (sums[seen] / counts[seen, None]).float()
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return the distance to the nearest class mean: (n,) float32, at least 0."""
        import torch

        # Matrix products would be quicker, but round differently in batches of another size.
        mode = "donot_use_mm_for_euclid_dist"
        distances = torch.cdist(self._prepared(batch.features), self.means_, compute_mode=mode)
        return distances.amin(dim=1)

    def _prepared(self, features: Tensor) -> Tensor:
        """Scale features (n, d) to length 1 if asked to."""
        from torch.nn import functional

        return functional.normalize(features) if self.normalize else features


@hookimpl
def oodbench_detectors() -> Sequence[type[Detector]]:
    """Return the detectors of this package."""
    return (NearestMean,)
