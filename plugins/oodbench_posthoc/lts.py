"""LTS: the energy of scaled logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from oodbench.contracts import Info, InvalidParameter, Need, Paper
from oodbench_posthoc.adapter import FeaturesAdapter, Unfitted, nonzero

if TYPE_CHECKING:
    from torch import Tensor


class LogitScaling(Unfitted, FeaturesAdapter):
    """Score by the energy of the logits, scaled by how peaked the features are (LTS).

    s(x) = -log sum_y exp(a f_y(x)), a = (sum of z / sum of the largest z)^2, where z are the
    penultimate features, those below 0 counting as 0, and f(x) the logits.

    Args:
        top_share: share of the features that count as the largest, in (0, 1].

    Raises:
        InvalidParameter: if it is outside of (0, 1].
    """

    original = "LTS"
    renamed: ClassVar = {"p": "top_share"}
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
        deviations=("Made for features that are not negative, as after a ReLU.",),
    )
    needs = frozenset({Need.FEATURES, Need.CLASSIFIER})
    space: ClassVar = {"top_share": (0.01, 0.05, 0.1, 0.2)}

    def __init__(self, *, top_share: float = 0.05) -> None:
        if not 0 < top_share <= 1:
            raise InvalidParameter(
                f"top_share must be greater than 0 and at most 1, not {top_share}"
            )
        self.top_share = top_share

    def judge(self, original: Any, values: Tensor) -> Tensor:
        """Score features (n, d), those of an image of which none is above 0 too."""
        factors = original.scaling_factor(nonzero(values.clamp(min=0)), self.top_share)
        scores: Tensor = original.detector(original.head(values) * factors[:, None])
        return scores
