"""The entropy of the softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodbench.contracts import Batch, Detector, Info, Need, Paper
from oodbench_posthoc.probabilities import sorted_probabilities

if TYPE_CHECKING:
    from torch import Tensor


class Entropy(Detector):
    """Score by how evenly the classifier spreads its confidence.

    s(x) = -sum_y p_y log p_y, in [0, log k], where p = softmax(f(x)) are the probabilities that
    the k logits f(x) give (section 3 of the paper, with p for a whole image).
    """

    family = "posthoc"
    needs = frozenset({Need.LOGITS})
    original = "Entropy"
    info = Info(
        name="entropy",
        title="Entropy",
        summary="High entropy of the softmax",
        paper=Paper(
            title="Entropy Maximization and Meta Classification for Out-of-Distribution Detection "
            "in Semantic Segmentation",
            authors="Chan et al.",
            venue="ICCV",
            year=2021,
            url="https://arxiv.org/abs/2012.06575",
        ),
        deviations=(
            "The classifier is not trained to have a high entropy on auxiliary outliers, and there "
            "is no meta classifier.",
        ),
    )

    def score(self, batch: Batch) -> Tensor:
        """Return the entropy: (n,) float64."""
        import torch

        largest, others = sorted_probabilities(batch.logits)
        of_largest = -largest * torch.log1p(-others.sum(dim=1))
        entropies: Tensor = of_largest + torch.special.entr(others).sum(dim=1)
        return entropies
