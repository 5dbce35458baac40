"""Score by the energy, guided by the nearest training images."""

from __future__ import annotations

from typing import ClassVar

from oodbench.contracts import Info, Need, Paper
from oodbench_posthoc.adapter import FeaturesAdapter
from oodbench_posthoc.checks import check_count


class NeighbourGuidance(FeaturesAdapter):
    """Score by the energy times the likeness to the nearest training images (NNGuide).

    s(x) = -E(x) mean of E(x_i) cos(z, z_i) over the k training images x_i for which this product is
    largest, where z are the penultimate features and E(x) = log sum_y exp(f_y(x)) with the
    logits f(x).

    Args:
        neighbours: k.

    Raises:
        InvalidParameter: if it is less than 1.
    """

    original = "NNGuide"
    renamed: ClassVar = {"k": "neighbours"}
    info = Info(
        name="nnguide",
        title="NNGuide",
        summary="High energy of the logits, guided by the likeness to the nearest training images",
        paper=Paper(
            title="Nearest Neighbor Guidance for Out-of-Distribution Detection",
            authors="Park et al.",
            venue="ICCV",
            year=2023,
            url="https://arxiv.org/abs/2309.14888",
        ),
        deviations=("All training images are compared with, where the paper draws some of them.",),
    )
    needs = frozenset({Need.FEATURES, Need.CLASSIFIER})
    space: ClassVar = {"neighbours": (1, 5, 10, 50, 100)}

    def __init__(self, *, neighbours: int = 10) -> None:
        check_count("neighbours", neighbours)
        self.neighbours = neighbours
