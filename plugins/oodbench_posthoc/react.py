"""ReAct: the energy of rectified features."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from oodbench.contracts import Info, Paper, Stream
from oodbench_posthoc.checks import check_fraction
from oodbench_posthoc.shaping import EnergyShaping
from oodbench_posthoc.streamed import gather_features

if TYPE_CHECKING:
    from torch import Tensor


class RectifiedActivations(EnergyShaping):
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
    )
    space: ClassVar = {"percentile": (0.85, 0.9, 0.95, 0.99)}

    def __init__(self, *, percentile: float = 0.9) -> None:
        check_fraction("percentile", percentile)
        self.percentile = percentile

    def learn(self, train: Stream) -> None:
        """Learn the percentile of all features.

        Raises:
            PluginError: if they do not fit into memory.
        """
        import numpy as np

        self.cut_ = float(np.quantile(gather_features(train).cpu().numpy(), self.percentile))

    def shape(self, features: Tensor) -> Tensor:
        """Return features (n, d), those above the percentile cut off."""
        return features.clamp(max=self.cut_)
