"""RankFeat: the energy without the dominant part of the last maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from oodbench.contracts import Info, Paper
from oodbench_posthoc.adapter import Unfitted
from oodbench_posthoc.layers import LayersAdapter

if TYPE_CHECKING:
    from torch import Tensor


class RankFeature(Unfitted, LayersAdapter):
    """Score by the energy after the dominant part of the last maps is removed (RankFeat).

    s(x) = -log sum_y exp(g(X - s_1 u_1 v_1')_y), where X are the last maps before they are pooled,
    a matrix of channels by places with the largest singular value s_1 and its vectors u_1 and v_1,
    and g is what follows in the classifier, to the logits.
    """

    original = "RankFeat"
    of_classifier: ClassVar = {"head": lambda classifier: classifier.head}
    info = Info(
        name="rankfeat",
        title="RankFeat",
        summary="High free energy of the logits without the first singular vectors of the maps",
        paper=Paper(
            title="RankFeat: Rank-1 Feature Removal for Out-of-distribution Detection",
            authors="Song et al.",
            venue="NeurIPS",
            year=2022,
            url="https://arxiv.org/abs/2209.08590",
        ),
        deviations=("Uses the last maps only; the paper fuses those of two blocks.",),
    )

    def judge(self, original: Any, values: Tensor) -> Tensor:
        """Score images (n, c, h, w)."""
        scores: Tensor = original.detector(self.layers.logits(values, without_dominant))
        return scores


def without_dominant(maps: Tensor) -> Tensor:
    """Return maps (n, c, h, w) without the part of the largest singular value.

    The singular vectors are found as eigenvectors of the smaller of X X' and X' X, in float64: that
    is as exact as a decomposition of X in float32, as pytorch-ood makes it, and takes less time.
    """
    import torch

    matrix = maps.flatten(2).double()
    if matrix.shape[1] > matrix.shape[2]:
        matrix = matrix.mT
    vector = torch.linalg.eigh(matrix @ matrix.mT).eigenvectors[:, :, -1:]
    rest = matrix - vector @ (vector.mT @ matrix)
    if maps.shape[1] > maps[0, 0].numel():
        rest = rest.mT
    found: Tensor = rest.to(maps.dtype).reshape(maps.shape)
    return found
