"""The maximum softmax probability."""

from __future__ import annotations

from typing import ClassVar

from oodbench.contracts import Info, Paper
from oodbench_posthoc.adapter import LogitsAdapter
from oodbench_posthoc.checks import check_positive


class MaximumSoftmax(LogitsAdapter):
    """Score by how uncertain the classifier is of its prediction.

    s(x) = -max_y softmax(f(x) / T)_y, in [-1, -1/k], where f(x) are the k logits and T is the
    temperature. The paper (section 3) has none, which is T = 1; ODIN introduced it (Liang et al.,
    ICLR 2018, equation 1).

    Args:
        temperature: T > 0; above 1 it flattens the probabilities.

    Raises:
        InvalidParameter: if the temperature is not a number greater than 0.
    """

    original = "MaxSoftmax"
    renamed: ClassVar = {"t": "temperature"}
    info = Info(
        name="msp",
        title="MSP",
        summary="Low maximum softmax probability",
        paper=Paper(
            title="A Baseline for Detecting Misclassified and Out-of-Distribution Examples "
            "in Neural Networks",
            authors="Hendrycks and Gimpel",
            venue="ICLR",
            year=2017,
            url="https://arxiv.org/abs/1610.02136",
        ),
    )
    space: ClassVar = {"temperature": (1.0, 2.0, 5.0, 10.0, 100.0, 1000.0)}

    def __init__(self, *, temperature: float = 1.0) -> None:
        check_positive("temperature", temperature)
        self.temperature = temperature
