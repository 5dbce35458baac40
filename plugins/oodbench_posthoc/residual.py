"""Residual: the distance of the features from the training images' principal space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from oodbench.contracts import Batch, Context, Detector, Info, Need, Paper, Stream
from oodbench_posthoc.checks import check_count
from oodbench_posthoc.principal import LearnsVariances, head_origin, outside_of, principal_dimension

if TYPE_CHECKING:
    from torch import Tensor


class Residual(LearnsVariances, Detector):
    """Score by the distance of the features from the training images' principal space.

    s(x) = |z - P z|, where z are the penultimate features about the origin that the head maps to
    logits of 0, and P projects them onto the principal space of the training images. It is the
    part of ViM that the logits have no share in.

    Args:
        dimension: of the principal space; None: as the authors' code chooses it, 1,000 for 2,048
            features or more, 512 for 768 or more, and half as many as there are features below.

    Raises:
        InvalidParameter: if it is less than 1.
    """

    family = "posthoc"
    needs = frozenset({Need.FEATURES})
    fit_needs = frozenset({Need.FEATURES, Need.CLASSIFIER})
    info = Info(
        name="residual",
        title="Residual",
        summary="Features outside the training images' principal space",
        paper=Paper(
            title="ViM: Out-Of-Distribution with Virtual-logit Matching",
            authors="Wang et al.",
            venue="CVPR",
            year=2022,
            url="https://arxiv.org/abs/2203.10807",
        ),
    )
    space: ClassVar = {"dimension": (16, 32, 64, 128, 256, 512)}

    def __init__(self, *, dimension: int | None = None) -> None:
        if dimension is not None:
            check_count("dimension", dimension)
        self.dimension = dimension

    def fit(self, train: Stream, context: Context) -> Self:
        """Learn the principal space, batch by batch.

        Raises:
            InvalidParameter: if nothing is outside of it.
        """
        head: Any = context.classifier.head
        self.origin_ = head_origin(head)
        dimension = principal_dimension(self.dimension, len(self.origin_))
        self.outside_ = outside_of(train, self.origin_, dimension)
        self.learned_from = len(train), len(self.origin_)
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return the distance: (n,) float64."""
        outside = (batch.features.double() - self.origin_) @ self.outside_
        distances: Tensor = outside.norm(dim=1)
        return distances
