"""ASH: the energy of pruned features."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from oodbench.contracts import Info, InvalidParameter, Paper
from oodbench_posthoc.checks import check_fraction
from oodbench_posthoc.shaping import EnergyShaping, count_kept, sum_over_largest

if TYPE_CHECKING:
    from torch import Tensor

VARIANTS = ("ash-s", "ash-p", "ash-b")


class ActivationShaping(EnergyShaping):
    """Score by the energy after an image's small features are set to 0 (ASH).

    s(x) = -log sum_y exp(head(a(z))_y), where z are the penultimate features, and a sets all but
    the largest to 0 and then

    * ash-p: leaves the others as they are;
    * ash-b: sets them to the mean that keeps the sum of z;
    * ash-s: multiplies them by exp(sum of z / sum of those that are left).

    Args:
        percentile: share of the features that are set to 0, in [0, 1); the authors take 0.95 for
            ash-s on CIFAR, which is the default, and 0.9 on ImageNet; 0.65 for ash-b.
        variant: ``"ash-s"``, ``"ash-p"`` or ``"ash-b"``.

    Raises:
        InvalidParameter: if the percentile is outside of [0, 1) or the variant unknown.
    """

    original = "ASH"
    info = Info(
        name="ash",
        title="ASH",
        summary="High free energy of the logits of an image's largest features alone",
        paper=Paper(
            title="Extremely Simple Activation Shaping for Out-of-Distribution Detection",
            authors="Djurisic et al.",
            venue="ICLR",
            year=2023,
            url="https://openreview.net/forum?id=ndYXTEL6cZz",
        ),
        deviations=("Features are pruned after they are pooled.",),
    )
    space: ClassVar = {
        "percentile": (0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95),
        "variant": VARIANTS,
    }

    def __init__(
        self, *, percentile: float = 0.95, variant: Literal["ash-s", "ash-p", "ash-b"] = "ash-s"
    ) -> None:
        check_fraction("percentile", percentile)
        if variant not in VARIANTS:
            raise InvalidParameter(f"variant must be one of {', '.join(VARIANTS)}, not {variant}")
        self.percentile = percentile
        self.variant = variant

    def shape(self, features: Tensor) -> Tensor:
        """Return features (n, d), all but an image's largest 0."""
        import torch

        kept = count_kept(features, self.percentile)
        values, places = features.topk(kept, dim=1)
        if self.variant == "ash-b":
            values = (features.sum(1, keepdim=True) / kept).expand_as(values)
        elif self.variant == "ash-s":
            values = values * sum_over_largest(features, kept).exp()
        return torch.zeros_like(features).scatter(1, places, values)
