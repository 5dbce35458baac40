"""The entropy of the softmax."""

from __future__ import annotations

from oodbench.contracts import Info, Paper
from oodbench_posthoc.adapter import LogitsAdapter


class Entropy(LogitsAdapter):
    """Score by how evenly the classifier spreads its confidence.

    s(x) = -sum_y p_y log p_y, in [0, log k], where p = softmax(f(x)) are the probabilities that
    the k logits f(x) give (section 3 of the paper, with p for a whole image).
    """

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
            "Probabilities below 1e-7 count as 1e-7 (pytorch-ood).",
        ),
    )
