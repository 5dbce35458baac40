"""ReAct: the energy of rectified features."""

from __future__ import annotations

from typing import ClassVar

from oodbench.contracts import Info, Paper
from oodbench_posthoc.adapter import RectifyingAdapter
from oodbench_posthoc.checks import check_fraction


class RectifiedActivations(RectifyingAdapter):
    """Score by the energy after large features are cut off (ReAct).

    s(x) = -log sum_y exp(head(min(z, c))_y), where z are the penultimate features and c is a
    percentile of all features of the training images.

    Args:
        percentile: the share of the training images' features that c exceeds, in [0, 1).

    Raises:
        InvalidParameter: if it is outside of [0, 1).
    """

    original = "ReAct"
    info = Info(
        name="react",
        title="ReAct",
        summary="High free energy of the logits of features that are cut off at a percentile",
        paper=Paper(
            title="ReAct: Out-of-distribution Detection With Rectified Activations",
            authors="Sun et al.",
            venue="NeurIPS",
            year=2021,
            url="https://arxiv.org/abs/2111.12797",
        ),
        deviations=("Made for features that are not negative, as after a ReLU.",),
    )
    space: ClassVar = {"percentile": (0.85, 0.9, 0.95, 0.99)}

    def __init__(self, *, percentile: float = 0.9) -> None:
        check_fraction("percentile", percentile)
        self.percentile = percentile
