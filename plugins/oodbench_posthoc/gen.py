"""GEN: the generalised entropy of the softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from oodbench.contracts import Batch, Detector, Info, Need, Paper
from oodbench_posthoc.checks import check_count, check_positive
from oodbench_posthoc.probabilities import sorted_probabilities

if TYPE_CHECKING:
    from torch import Tensor


class GeneralisedEntropy(Detector):
    """Score by an entropy that is sensitive to small departures from full confidence (GEN).

    s(x) = mean over the m largest p_y of p_y^g (1 - p_y)^g, where p = softmax(f(x)) are the
    probabilities of the classes (section 3 of the paper). A small exponent g amplifies what
    happens near probabilities of 0 and 1.

    Args:
        gamma: g > 0; the paper recommends 0.1.
        top_classes: m, the number of classes with the largest probabilities that count, the
            rest being noise; None: all, which the paper takes where there are few.

    Raises:
        InvalidParameter: if gamma is not a number greater than 0, or top_classes less than 1.
    """

    family = "posthoc"
    needs = frozenset({Need.LOGITS})
    original = "GEN"
    info = Info(
        name="gen",
        title="GEN",
        summary="High generalised entropy of the softmax",
        paper=Paper(
            title="GEN: Pushing the Limits of Softmax-Based Out-of-Distribution Detection",
            authors="Liu et al.",
            venue="CVPR",
            year=2023,
            url="https://openaccess.thecvf.com/content/CVPR2023/html/Liu_GEN_Pushing_the_Limits_of_"
            "Softmax-Based_Out-of-Distribution_Detection_CVPR_2023_paper.html",
        ),
        deviations=("The terms are averaged, not summed, which changes no comparison.",),
    )
    space: ClassVar = {
        "gamma": (0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0),
        "top_classes": (10, 50, 100, 200, 500, 1000),
    }

    def __init__(self, *, gamma: float = 0.1, top_classes: int | None = None) -> None:
        check_positive("gamma", gamma)
        if top_classes is not None:
            check_count("top_classes", top_classes)
        self.gamma = gamma
        self.top_classes = top_classes

    def score(self, batch: Batch) -> Tensor:
        """Return the generalised entropy: (n,) float64."""
        import torch

        largest, others = sorted_probabilities(batch.logits)
        probabilities = torch.cat([largest[:, None], others], dim=1)
        complements = torch.cat([others.sum(dim=1, keepdim=True), 1 - others], dim=1)
        terms = (probabilities * complements)[:, : self.top_classes] ** self.gamma
        return terms.mean(dim=1)
