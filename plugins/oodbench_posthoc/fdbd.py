"""fDBD: the distance to the decision boundaries."""

from __future__ import annotations

from oodbench.contracts import Info, Need, Paper
from oodbench_posthoc.streamed import MeanAdapter


class BoundaryDistance(MeanAdapter):
    """Score by how near the features are to the decision boundaries of the head (fDBD).

    s(x) = -mean over c != y of |f_y(x) - f_c(x)| / (|w_y - w_c| |z - m|), where z are the
    penultimate features, m their mean over the training images, f(x) the logits, y the predicted
    class and w_c the weights of the head for class c.
    """

    original = "fDBD"
    info = Info(
        name="fdbd",
        title="fDBD",
        summary="Features near the decision boundaries, relative to their distance to the mean",
        paper=Paper(
            title="Fast Decision Boundary based Out-of-Distribution Detector",
            authors="Liu and Qin",
            venue="ICML",
            year=2024,
            url="https://arxiv.org/abs/2312.11536",
        ),
    )
    needs = frozenset({Need.FEATURES, Need.CLASSIFIER})
