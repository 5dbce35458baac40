"""VRA: the energy of features, the low ones set to 0 and the high ones cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from oodbench.contracts import Info, InvalidParameter, Paper
from oodbench_posthoc.adapter import RectifyingAdapter
from oodbench_posthoc.checks import check_fraction

if TYPE_CHECKING:
    from torch import Tensor


class VariationalRectification(RectifyingAdapter):
    """Score by the energy after low features are set to 0 and high ones are cut off (VRA).

    s(x) = -log sum_y exp(head(v(z))_y), where z are the penultimate features, and v sets a feature
    below l to 0 and one above u to u, l and u being percentiles of this feature over the training
    images (the paper's piecewise function). The defaults are the authors' for CIFAR-10.

    Args:
        lower_percentile: of l, in [0, 1).
        upper_percentile: of u, in [0, 1), at least that of l.

    Raises:
        InvalidParameter: if they are outside of [0, 1) or in the wrong order.
    """

    original = "VRA"
    info = Info(
        name="vra",
        title="VRA",
        summary="High free energy of the logits of features without low and high values",
        paper=Paper(
            title="Variational Rectified Activation for Out-of-distribution Detection",
            authors="Xu et al.",
            venue="NeurIPS",
            year=2023,
            url="https://arxiv.org/abs/2302.11716",
        ),
        deviations=(
            "Made for features that are not negative, as after a ReLU; those below 0 are set to 0 "
            "if they are below their percentile.",
        ),
    )
    space: ClassVar = {
        "lower_percentile": (0.5, 0.6, 0.65, 0.7),
        "upper_percentile": (0.85, 0.9, 0.95, 0.99),
    }

    def __init__(self, *, lower_percentile: float = 0.6, upper_percentile: float = 0.9) -> None:
        check_fraction("lower_percentile", lower_percentile)
        check_fraction("upper_percentile", upper_percentile)
        if lower_percentile > upper_percentile:
            raise InvalidParameter(
                f"lower_percentile ({lower_percentile}) must not be above upper_percentile "
                f"({upper_percentile})"
            )
        self.lower_percentile = lower_percentile
        self.upper_percentile = upper_percentile

    def judge(self, original: Any, values: Tensor) -> Tensor:
        """Score maps (n, d, 1, 1); pytorch-ood raises low features to their percentile."""
        import torch

        lower, upper = (
            each.to(values.device)
            for each in (original._lower_threshold, original._upper_threshold)
        )
        rectified = torch.where(values < lower, 0, torch.minimum(values, upper))
        scores: Tensor = original.detector(original.head(rectified))
        return scores
