"""NECO: how much of the features is in their principal space."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from oodbench.contracts import Batch, Context, Detector, Info, InvalidParameter, Need, Paper, Stream
from oodbench_posthoc.checks import check_count
from oodbench_posthoc.gaussians import Together, moments_of
from oodbench_posthoc.principal import LearnsVariances, components_of

if TYPE_CHECKING:
    from torch import Tensor

USUAL = 100
"""The authors' dimension of the principal space."""


class NeuralCollapseRatio(LearnsVariances, Detector):
    """Score by how little of the features is in their principal space (NECO).

    s(x) = -|P z| / |z|, in [-1, 0], where z are the penultimate features, standardised by their
    means and standard deviations over the training images, and P projects them onto the principal
    components of the training images (equation 6 of the paper). A feature that never varies in
    training is not divided.

    Args:
        dimension: of the principal space; None: 100 as in the authors' code, and half of the
            features where there are less than 200.

    Raises:
        InvalidParameter: if it is less than 1, or not less than the number of features.
    """

    family = "posthoc"
    needs = frozenset({Need.FEATURES})
    info = Info(
        name="neco",
        title="NECO",
        summary="Features of which a small part is in the principal space",
        paper=Paper(
            title="NECO: NEural Collapse Based Out-of-distribution detection",
            authors="Ammar et al.",
            venue="ICLR",
            year=2024,
            url="https://arxiv.org/abs/2310.06823",
        ),
        deviations=(
            "The ratio alone, as the authors take it for a ResNet; for transformers they multiply "
            "it by the largest logit.",
        ),
    )
    space: ClassVar = {"dimension": (8, 16, 32, 64, 100, 200)}

    def __init__(self, *, dimension: int | None = None) -> None:
        if dimension is not None:
            check_count("dimension", dimension)
        self.dimension = dimension

    def fit(self, train: Stream, context: Context) -> Self:
        """Learn means, deviations and principal components, batch by batch."""
        moments = moments_of(Together(train, lambda batch: batch.features), 1)
        width = len(moments.mean)
        dimension = min(USUAL, max(width // 2, 1)) if self.dimension is None else self.dimension
        if dimension >= width and self.dimension is not None:
            raise InvalidParameter(
                f"dimension must be less than {width}, the number of features that this "
                f"classifier has, not {dimension}"
            )
        scales = moments.total.diagonal().sqrt()
        constant = scales <= 1e-12 * scales.amax()
        self.mean_, self.scales_ = moments.mean, scales.masked_fill(constant, 1)
        correlation = moments.total / self.scales_ / self.scales_[:, None]
        self.principal_ = components_of(correlation)[1][:, :dimension].contiguous()
        self.learned_from = len(train), width
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return the negative ratio: (n,) float64; 0 where all features are at their means."""
        scaled = (batch.features.double() - self.mean_) / self.scales_
        lengths = scaled.norm(dim=1).clamp(min=1e-300)
        ratios: Tensor = (scaled @ self.principal_).norm(dim=1) / lengths
        return -ratios
