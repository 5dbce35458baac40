"""Score by the regret of predictive normalised maximum likelihood."""

from __future__ import annotations

from oodbench.contracts import Info, Need, Paper
from oodbench_posthoc.adapter import FeaturesAdapter


class LikelihoodRegret(FeaturesAdapter):
    """Score by the regret against a learner that knew the true class (pNML).

    s(x) = log sum_y p_y / (p_y + (1 - p_y) p_y^g) / log k, with g = q / (1 + q) and
    q = z' (X'X)^+ z, where z are the penultimate features scaled to length 1, X those of the
    training images, and p = softmax(head(z)) the probabilities of the k classes.
    """

    original = "PNML"
    info = Info(
        name="pnml",
        title="pNML",
        summary="Large regret of the head in directions that the training images leave open",
        paper=Paper(
            title="Single Layer Predictive Normalized Maximum Likelihood for Out-of-Distribution "
            "Detection",
            authors="Bibas et al.",
            venue="NeurIPS",
            year=2021,
            url="https://arxiv.org/abs/2110.09246",
        ),
        deviations=("The head is given features of length 1, its bias as it is (pytorch-ood).",),
    )
    needs = frozenset({Need.FEATURES, Need.CLASSIFIER})
