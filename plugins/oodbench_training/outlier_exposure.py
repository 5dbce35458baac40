"""Outlier exposure: training to be undecided about auxiliary images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodbench.contracts import DerivedClassifier, Info, Paper

if TYPE_CHECKING:
    from torch import Tensor


class OutlierExposure(DerivedClassifier):
    """Add to the cross-entropy that of auxiliary images with the uniform distribution.

    With logits f(x) of k classes, a step minimises (section 3 of the paper)

        mean over ID images (log sum_c exp f(x)_c - f(x)_y)
        + weight * mean over auxiliary images (log sum_c exp f(x)_c - mean_c f(x)_c)

    by the loss of pytorch-ood. Made for detectors that look at logits, as ``msp`` in the paper.

    Args:
        network: name of the classifier that is trained so.
        outliers: name of the auxiliary data set: its training images, or else its test images.
        weight: of the auxiliary images.
    """

    info = Info(
        name="outlier-exposure",
        summary="Outlier exposure: another classifier, trained to be undecided on outliers.",
        paper=Paper(
            title="Deep Anomaly Detection with Outlier Exposure",
            authors="Hendrycks et al.",
            venue="ICLR",
            year=2019,
            url="https://arxiv.org/abs/1812.04606",
        ),
        deviations=(
            "Trained from scratch by the recipe of the network; the paper also fine-tunes.",
            "As many auxiliary as ID images in a step, where the paper has twice as many.",
            "The auxiliary set is small by default (1,040 patches of photographs).",
        ),
    )

    def __init__(
        self,
        *,
        network: str = "preact-resnet",
        outliers: str = "photo-patches",
        weight: float = 0.5,
    ) -> None:
        if weight < 0:
            raise ValueError(f"weight must be at least 0, not {weight}")
        self.network = network
        self.outliers = outliers
        self.weight = weight

    def auxiliary(self) -> str:
        """Return the name of the auxiliary data set."""
        return self.outliers

    def loss(self, logits: Tensor, labels: Tensor, done: float) -> Tensor:
        """Return the loss of a step."""
        from pytorch_ood.loss import OutlierExposureLoss

        # Each image's own, for means over either kind as in the paper, not over both together.
        losses: Tensor = OutlierExposureLoss(alpha=self.weight, reduction="none")(logits, labels)
        known = (labels >= 0).to(losses.dtype)
        return (losses * known).sum() / known.sum() + (losses * (1 - known)).sum() / (
            1 - known
        ).sum()
