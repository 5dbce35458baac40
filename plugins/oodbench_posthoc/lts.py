"""LTS: the energy of scaled logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from oodbench.contracts import Info, InvalidParameter, Paper
from oodbench_posthoc.shaping import EnergyShaping, count_kept, sum_over_largest

if TYPE_CHECKING:
    from torch import Tensor, nn


class LogitScaling(EnergyShaping):
    """Score by the energy of the logits, scaled by how peaked the features are (LTS).

    s(x) = -log sum_y exp(a f_y(x)), a = (sum of z / sum of the largest z)^2, where z are the
    penultimate features, those below 0 counting as 0, and f(x) the logits.

    Args:
        top_share: share of the features that count as the largest, in (0, 1].

    Raises:
        InvalidParameter: if it is outside of (0, 1].
    """

    original = "LTS"
    info = Info(
        name="lts",
        title="LTS",
        summary="High free energy of the logits, scaled by the features' sum over their largest",
        paper=Paper(
            title="Logit Scaling for Out-of-Distribution Detection",
            authors="Djurisic et al.",
            venue="Machine Vision and Applications",
            year=2025,
            url="https://arxiv.org/abs/2409.01175",
        ),
    )
    space: ClassVar = {"top_share": (0.01, 0.05, 0.1, 0.2)}

    def __init__(self, *, top_share: float = 0.05) -> None:
        if not 0 < top_share <= 1:
            raise InvalidParameter(
                f"top_share must be greater than 0 and at most 1, not {top_share}"
            )
        self.top_share = top_share

    def shape_head(self, head: nn.Module) -> nn.Module:
        """Return a head whose logits are scaled."""
        from oodbench_posthoc.heads import ScaledHead

        return ScaledHead(head, self._factor)

    def _factor(self, features: Tensor) -> Tensor:
        """Return what the logits of features (n, d) are multiplied by: (n, 1)."""
        positive = features.clamp(min=0)
        return sum_over_largest(positive, count_kept(features, 1 - self.top_share)).square()
