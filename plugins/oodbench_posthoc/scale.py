"""SCALE: the energy of scaled features."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from oodbench.contracts import Info, Paper
from oodbench_posthoc.checks import check_fraction
from oodbench_posthoc.shaping import EnergyShaping, count_kept, sum_over_largest

if TYPE_CHECKING:
    from torch import Tensor


class ActivationScaling(EnergyShaping):
    """Score by the energy, with features scaled by how peaked they are (SCALE).

    s(x) = -log sum_y exp(head(z exp(sum of z / sum of the largest z))_y), where z are the
    penultimate features.

    Args:
        percentile: share of the features that do not count as the largest, in [0, 1); the
            default is that of the authors' configuration.

    Raises:
        InvalidParameter: if it is outside of [0, 1).
    """

    original = "SCALE"
    info = Info(
        name="scale",
        title="SCALE",
        summary="High free energy of the logits of features scaled by their sum over their largest",
        paper=Paper(
            title="Scaling for Training Time and Post-hoc Out-of-distribution Detection "
            "Enhancement",
            authors="Xu et al.",
            venue="ICLR",
            year=2024,
            url="https://arxiv.org/abs/2310.00227",
        ),
        deviations=("Post-hoc only, without the paper's change of training.",),
    )
    space: ClassVar = {"percentile": (0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)}

    def __init__(self, *, percentile: float = 0.85) -> None:
        check_fraction("percentile", percentile)
        self.percentile = percentile

    def shape(self, features: Tensor) -> Tensor:
        """Return scaled features: (n, d)."""
        kept = count_kept(features, self.percentile)
        return features * sum_over_largest(features, kept).exp()
