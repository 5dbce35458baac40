"""Score by the energy without the dominant part of the last maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from oodbench.contracts import Info, Paper
from oodbench_posthoc.adapter import Unfitted
from oodbench_posthoc.layers import LayersAdapter

if TYPE_CHECKING:
    from torch import Tensor


class RankFeature(Unfitted, LayersAdapter):
    """Score by the energy after the dominant part of the last maps is taken away (RankFeat).

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
        deviations=("The last maps alone; the paper fuses those of two blocks.",),
    )

    def judge(self, original: Any, values: Tensor) -> Tensor:
        """Score images (n, c, h, w)."""
        from pytorch_ood.detector.rankfeat import _remove_rank1

        logits = self.layers.logits(values, lambda maps: _remove_rank1(maps.contiguous()))
        scores: Tensor = original.detector(logits)
        return scores
