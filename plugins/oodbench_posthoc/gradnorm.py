"""Score by the gradients of the head's weights towards an even prediction."""

from __future__ import annotations

from typing import ClassVar

from oodbench.contracts import Info, Paper
from oodbench_posthoc.adapter import HeadGradientAdapter
from oodbench_posthoc.checks import check_positive


class GradientNorm(HeadGradientAdapter):
    """Score by how little the head's weights would have to change to predict all classes alike.

    s(x) = -|dL / dW|_1, where L is the cross-entropy between the uniform distribution and
    softmax(f(x) / T), f(x) are the logits, and W are the weights of the head.

    Args:
        temperature: T > 0.

    Raises:
        InvalidParameter: if it is not a number greater than 0.
    """

    original = "GradNorm"
    of_classifier: ClassVar = {
        **HeadGradientAdapter.of_classifier,
        "param_filter": lambda _: lambda name: name == "weight",
    }
    info = Info(
        name="gradnorm",
        title="GradNorm",
        summary="Small gradients of the head's weights towards an even prediction",
        paper=Paper(
            title="On the Importance of Gradients for Detecting Distributional Shifts in the Wild",
            authors="Huang et al.",
            venue="NeurIPS",
            year=2021,
            url="https://arxiv.org/abs/2110.00218",
        ),
    )
    space: ClassVar = {"temperature": (0.5, 1.0, 2.0, 4.0)}

    def __init__(self, *, temperature: float = 1.0) -> None:
        check_positive("temperature", temperature)
        self.temperature = temperature
