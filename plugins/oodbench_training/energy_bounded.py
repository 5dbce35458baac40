"""Energy-bounded learning: a gap between the energies of ID and auxiliary images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodbench.contracts import DerivedClassifier, Info, Paper

if TYPE_CHECKING:
    from torch import Tensor


class EnergyBounded(DerivedClassifier):
    """Add to the cross-entropy a penalty for energies on the wrong side of two margins.

    With the energy E(x) = -log sum_c exp f(x)_c of the logits f(x), a step minimises (equations
    7 and 8 of the paper)

        cross-entropy + weight * (mean over ID images max(0, E(x) - margin_in)^2
                                  + mean over auxiliary images max(0, margin_out - E(x))^2)

    by the loss of pytorch-ood. Made for the detector ``energy``.

    Args:
        network: name of the classifier that is trained so.
        outliers: name of the auxiliary data set: its training images, or else its test images.
        weight: of the penalty.
        margin_in: energy that ID images are to stay below.
        margin_out: energy that auxiliary images are to stay above.
        start: share of the steps after which the penalty counts. Much earlier, at large learning
            rates, it costs accuracy.
    """

    info = Info(
        name="energy-bounded",
        summary="Energy-bounded learning: another classifier, trained for a gap in energy.",
        paper=Paper(
            title="Energy-based Out-of-distribution Detection",
            authors="Liu et al.",
            venue="NeurIPS",
            year=2020,
            url="https://arxiv.org/abs/2010.03759",
        ),
        deviations=(
            "One training, in whose last tenth the penalty counts, where the paper trains for 100 "
            "epochs and fine-tunes for ten.",
            "As many auxiliary as ID images in a step, where the paper has twice as many.",
            "The auxiliary set is small by default (1,040 patches of photographs).",
        ),
    )

    def __init__(
        self,
        *,
        network: str = "preact-resnet",
        outliers: str = "photo-patches",
        weight: float = 0.1,
        margin_in: float = -23.0,
        margin_out: float = -5.0,
        start: float = 0.9,
    ) -> None:
        if weight < 0 or margin_in >= margin_out or not 0 <= start < 1:
            raise ValueError(
                "weight must be at least 0, margin_in below margin_out, and start in [0, 1)"
            )
        self.network = network
        self.outliers = outliers
        self.weight = weight
        self.margin_in = margin_in
        self.margin_out = margin_out
        self.start = start

    def auxiliary(self) -> str:
        """Return the name of the auxiliary data set."""
        return self.outliers

    def loss(self, logits: Tensor, labels: Tensor, done: float) -> Tensor:
        """Return the loss of a step."""
        from pytorch_ood.loss import EnergyRegularizedLoss

        if done < self.start:
            return super().loss(logits, labels, done)
        penalised = EnergyRegularizedLoss(self.weight, self.margin_in, self.margin_out)
        loss: Tensor = penalised(logits, labels)
        return loss
