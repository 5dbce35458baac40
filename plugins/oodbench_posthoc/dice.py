"""DICE: the energy of the logits of a sparse head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from oodbench.contracts import Info, Need, Paper
from oodbench_posthoc.checks import check_fraction
from oodbench_posthoc.streamed import MeanAdapter

if TYPE_CHECKING:
    from torch import Tensor


class SparseHead(MeanAdapter):
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
    renamed: ClassVar = {"p": "sparsity"}
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
    needs = frozenset({Need.FEATURES, Need.CLASSIFIER})
    space: ClassVar = {"sparsity": (0.1, 0.3, 0.5, 0.7, 0.9)}

    def __init__(self, *, sparsity: float = 0.9) -> None:
        check_fraction("sparsity", sparsity)
        self.sparsity = sparsity

    def judge(self, original: Any, values: Tensor) -> Tensor:
        """Score features (n, d); pytorch-ood holds n times the head's weights to make logits."""
        from torch.nn.functional import linear

        logits = linear(values, original.masked_w, original.bias.to(values.device))
        scores: Tensor = original.detector(logits)
        return scores
