"""DICE: the energy of the logits of a sparse head."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from oodbench.contracts import Info, Paper, Stream
from oodbench_posthoc.checks import check_fraction
from oodbench_posthoc.shaping import EnergyShaping
from oodbench_posthoc.streamed import mean_of_features

if TYPE_CHECKING:
    from torch import nn


class SparseHead(EnergyShaping):
    """Score by the energy, with only those weights of the head that contribute most (DICE).

    s(x) = -log sum_y exp((W * M) z + b)_y, where z are the penultimate features, W and b are the
    head's, and the mask M keeps the weights whose product with the mean feature of the training
    images is among the largest.

    Args:
        sparsity: share of the weights that are left out, in [0, 1); the authors take 0.9 on CIFAR,
            which is the default, and 0.7 on ImageNet.

    Raises:
        InvalidParameter: if it is outside of [0, 1).
    """

    original = "DICE"
    info = Info(
        name="dice",
        title="DICE",
        summary="High free energy of the logits of the head's most important weights",
        paper=Paper(
            title="DICE: Leveraging Sparsification for Out-of-Distribution Detection",
            authors="Sun and Li",
            venue="ECCV",
            year=2022,
            url="https://arxiv.org/abs/2111.09805",
        ),
    )
    for_positive = False
    space: ClassVar = {"sparsity": (0.1, 0.3, 0.5, 0.7, 0.9)}

    def __init__(self, *, sparsity: float = 0.9) -> None:
        check_fraction("sparsity", sparsity)
        self.sparsity = sparsity

    def learn(self, train: Stream) -> None:
        """Learn the mean of the features."""
        self.mean_ = mean_of_features(train)

    def shape_head(self, head: nn.Module) -> nn.Module:
        """Return the head without its least important weights.

        Raises:
            PluginError: if the head is not linear.
        """
        import numpy as np

        from oodbench_posthoc.heads import linear, with_weight

        dense = linear(head)
        contributions = dense.weight * self.mean_
        threshold = float(np.quantile(contributions.detach().cpu().numpy(), self.sparsity))
        return with_weight(dense, dense.weight.where(contributions > threshold, 0))
