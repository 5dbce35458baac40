"""Score by the likeness to the stored pattern of the predicted class."""

from __future__ import annotations

from oodbench.contracts import Info, Need, Paper
from oodbench_posthoc.adapter import FeaturesAdapter


class HopfieldEnergy(FeaturesAdapter):
    """Score by how little the features are like those of the predicted class (SHE).

    s(x) = -z' m_y, where z are the penultimate features, y is the predicted class, and m_y is the
    mean of the features of the training images of class y that are classified correctly (section
    3 of the paper, the simplified Hopfield energy).
    """

    original = "SHE"
    by_class = True
    info = Info(
        name="she",
        title="SHE",
        summary="Small product of the features with the mean features of the predicted class",
        paper=Paper(
            title="Out-of-Distribution Detection based on In-Distribution Data Patterns "
            "Memorization with Modern Hopfield Energy",
            authors="Zhang et al.",
            venue="ICLR",
            year=2023,
            url="https://openreview.net/forum?id=KkazG4lgKL",
        ),
    )
    needs = frozenset({Need.FEATURES, Need.CLASSIFIER})
