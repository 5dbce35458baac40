"""VRA: the energy of features rectified on both sides."""

from __future__ import annotations

from typing import ClassVar

from oodbench.contracts import Info, InvalidParameter, Paper
from oodbench_posthoc.adapter import RectifyingAdapter
from oodbench_posthoc.checks import check_fraction


class VariationalRectification(RectifyingAdapter):
    """Score by the energy after each feature is clipped to its usual range (VRA).

    s(x) = -log sum_y exp(head(clip(z, l, u))_y), where z are the penultimate features, and l and u
    are percentiles of each of them over the training images.

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
        summary="High free energy of the logits of features that are clipped to their usual range",
        paper=Paper(
            title="Variational Rectified Activation for Out-of-distribution Detection",
            authors="Xu et al.",
            venue="NeurIPS",
            year=2023,
            url="https://arxiv.org/abs/2302.11716",
        ),
        deviations=(
            "Features are clipped at both ends, each by its own percentiles; low ones are not "
            "set to 0 (pytorch-ood).",
        ),
    )
    space: ClassVar = {
        "lower_percentile": (0.01, 0.05, 0.1, 0.15),
        "upper_percentile": (0.85, 0.9, 0.95, 0.99),
    }

    def __init__(self, *, lower_percentile: float = 0.01, upper_percentile: float = 0.99) -> None:
        check_fraction("lower_percentile", lower_percentile)
        check_fraction("upper_percentile", upper_percentile)
        if lower_percentile > upper_percentile:
            raise InvalidParameter(
                f"lower_percentile ({lower_percentile}) must not be above upper_percentile "
                f"({upper_percentile})"
            )
        self.lower_percentile = lower_percentile
        self.upper_percentile = upper_percentile
