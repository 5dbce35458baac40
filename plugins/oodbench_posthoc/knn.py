"""Score by the distance to the k-th nearest training image."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from oodbench.contracts import Context, Info, Paper, Stream
from oodbench_posthoc.adapter import FeaturesAdapter, gather
from oodbench_posthoc.checks import check_count

if TYPE_CHECKING:
    from oodbench.contracts.detector import State


class NearestNeighbours(FeaturesAdapter):
    """Score by how far the k-th nearest training image is, by the direction of the features.

    s(x) = |z - z_(k)|, in [0, 2], where z are the penultimate features, scaled to length 1, and
    z_(k) are those of the training image that is the k-th nearest (section 3 of the paper).

    What pytorch-ood fits is an index of scikit-learn's, which would have to be pickled to be kept.
    The training features are kept instead, and indexed anew where images are scored.

    Args:
        neighbours: k; the paper takes 50 for CIFAR-10, 200 for CIFAR-100 and 1,000 for ImageNet.

    Raises:
        InvalidParameter: if it is less than 1.
    """

    original = "KNN"
    renamed: ClassVar = {"k": "neighbours"}
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

    def __init__(self, *, neighbours: int = 50) -> None:
        check_count("neighbours", neighbours)
        self.neighbours = neighbours

    def fit(self, train: Stream, context: Context) -> Self:
        """Index the features of the training images."""
        features, _ = gather(train, self.read)
        return self.restore({"features": features}, context)

    def state(self) -> State:
        """Return the features of the training images, as "features": (n, d) float32."""
        return {"features": self._features}

    def restore(self, state: State, context: Context) -> Self:
        """Index the features that `state` returned, on the CPU, where scikit-learn computes."""
        import torch

        features = state["features"]
        assert isinstance(features, torch.Tensor)
        self._features = features.cpu()
        self.fitted_ = self.construct(context)
        self.fitted_.fit_features(self._features, torch.zeros(len(features)))
        return self
