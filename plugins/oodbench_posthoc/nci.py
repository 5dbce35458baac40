"""NCI: how well the features align with the weights of the predicted class."""

from __future__ import annotations

import math
from typing import ClassVar

from oodbench.contracts import Info, InvalidParameter, Need, Paper
from oodbench_posthoc.streamed import MeanAdapter


class NeuralCollapse(MeanAdapter):
    """Score by how little the features align with the weights of the predicted class (NCI).

    s(x) = -w_y' (z - m) / |z - m| - a |z|_1, where z are the penultimate features, m is their mean
    over the training images, and w_y are the weights of the head for the predicted class y.

    Args:
        norm_weight: a, at least 0: how much features near the origin count as OOD.

    Raises:
        InvalidParameter: if it is negative.
    """

    original = "NCI"
    renamed: ClassVar = {"alpha": "norm_weight"}
    info = Info(
        name="nci",
        title="NCI",
        summary="Features that align little with the head's weights for the predicted class",
        paper=Paper(
            title="Detecting Out-of-Distribution Through the Lens of Neural Collapse",
            authors="Liu and Qin",
            venue="CVPR",
            year=2025,
            url="https://arxiv.org/abs/2311.01479",
        ),
        deviations=(
            "The weight of the norm is 0 by default, which leaves it out; the paper tunes it.",
        ),
    )
    needs = frozenset({Need.FEATURES, Need.CLASSIFIER})
    space: ClassVar = {"norm_weight": (0.0, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)}

    def __init__(self, *, norm_weight: float = 0.0) -> None:
        if not 0 <= norm_weight < math.inf:
            raise InvalidParameter(f"norm_weight must be a number from 0 up, not {norm_weight}")
        self.norm_weight = norm_weight
