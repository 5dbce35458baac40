"""VRA: the energy of features, the low ones set to 0 and the high ones cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from oodbench.contracts import Info, InvalidParameter, Paper, Stream
from oodbench_posthoc.checks import check_fraction
from oodbench_posthoc.shaping import EnergyShaping
from oodbench_posthoc.streamed import gather_features

if TYPE_CHECKING:
    from torch import Tensor


class VariationalRectification(EnergyShaping):
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
        deviations=("Features below 0 are set to 0 if they are below their percentile.",),
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

    def learn(self, train: Stream) -> None:
        """Learn the percentiles of each feature.

        Raises:
            PluginError: if the features do not fit into memory.
        """
        import numpy as np
        import torch

        features = gather_features(train)
        percentiles = (self.lower_percentile, self.upper_percentile)
        found = np.quantile(features.cpu().numpy(), percentiles, axis=0).astype(np.float32)
        self.lower_, self.upper_ = torch.from_numpy(found).to(features.device)

    def shape(self, features: Tensor) -> Tensor:
        """Return features (n, d), low ones 0 and high ones cut off."""
        import torch

        return torch.where(features < self.lower_, 0, torch.minimum(features, self.upper_))
