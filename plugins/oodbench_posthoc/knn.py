"""k-NN: the distance to the k-th nearest training image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Self

from oodbench.contracts import (
    Batch,
    Context,
    Detector,
    Info,
    InvalidParameter,
    Need,
    Paper,
    Stream,
)
from oodbench_posthoc.checks import check_count
from oodbench_posthoc.nearest import distance_to_nearest
from oodbench_posthoc.streamed import gather_rows

if TYPE_CHECKING:
    from torch import Tensor


class NearestNeighbours(Detector):
    """Score by how far the k-th nearest training image is, by the direction of the features.

    s(x) = |z - z_(k)|, in [0, 2], where z are the penultimate features, scaled to length 1, and
    z_(k) are those of the training image that is the k-th nearest (section 3 of the paper).

    The search is exact, and goes through all training images that are kept: pytorch-ood's is an
    index of scikit-learn's, which compares with all of them as well, in float64 and on the CPU.

    Args:
        neighbours: k; the paper takes 50 for CIFAR-10, 200 for CIFAR-100 and 1,000 for ImageNet.
        share: share of the training images that are kept, drawn at random but always the same, in
            (0, 1]; of ImageNet, the paper keeps 1 % in some experiments.

    Raises:
        InvalidParameter: if there are less than 1 of the first, or the share is outside of (0, 1].
    """

    family = "posthoc"
    original = "KNN"
    needs = frozenset({Need.FEATURES})
    info = Info(
        name="knn",
        title="KNN",
        summary="Large distance of the features to the k-th nearest training image",
        paper=Paper(
            title="Out-of-Distribution Detection with Deep Nearest Neighbors",
            authors="Sun et al.",
            venue="ICML",
            year=2022,
            url="https://arxiv.org/abs/2204.06507",
        ),
    )
    space: ClassVar = {"neighbours": (50, 100, 200, 500, 1000)}

    def __init__(self, *, neighbours: int = 50, share: float = 1.0) -> None:
        check_count("neighbours", neighbours)
        if not 0 < share <= 1:
            raise InvalidParameter(f"share must be greater than 0 and at most 1, not {share}")
        self.neighbours = neighbours
        self.share = share

    def least_images(self) -> int:
        """Return of how many training images as many are kept as neighbours are looked for."""
        return math.ceil(self.neighbours / self.share)

    def fit(self, train: Stream, context: Context) -> Self:
        """Keep the directions of the features of training images."""
        kept = self._draw(len(train))
        self.bank_ = gather_rows(train, lambda batch: directions(batch.features), kept)
        return self

    def _draw(self, images: int) -> Tensor:
        """Return the positions of the images to keep, in order."""
        import torch

        if self.share == 1:
            return torch.arange(images)
        order = torch.randperm(images, generator=torch.Generator().manual_seed(0))
        return order[: max(round(self.share * images), 1)].sort().values

    def score(self, batch: Batch) -> Tensor:
        """Return the distance to the k-th nearest: (n,) float64."""
        return distance_to_nearest(directions(batch.features), self.bank_, self.neighbours)


def directions(features: Tensor) -> Tensor:
    """Return features (n, d) scaled to length 1; those of length 0 stay as they are."""
    lengths: Tensor = features.norm(dim=1, keepdim=True)
    return features / lengths.clamp(min=1e-12)
