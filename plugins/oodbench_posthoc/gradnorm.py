"""GradNorm: the gradients of the head's weights towards a uniform prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from oodbench.contracts import Batch, Info, Paper
from oodbench_posthoc.checks import check_positive
from oodbench_posthoc.head_gradients import HeadGradient

if TYPE_CHECKING:
    from torch import Tensor


class GradientNorm(HeadGradient):
    """Score by how little the head's weights would have to change to predict all classes alike.

    s(x) = -|dL / dW|_1, where L is the cross-entropy between the uniform distribution and
    p = softmax(f(x) / T), f(x) are the logits, and W are the weights of the head. Since
    dL / df = (p - 1/k) / T, that is -|p - 1/k|_1 |z|_1 / T, where z are the penultimate features.

    Args:
        temperature: T > 0.

    Raises:
        InvalidParameter: if it is not a number greater than 0.
    """

    original = "GradNorm"
    info = Info(
        name="gradnorm",
        title="GradNorm",
        summary="Small gradients of the head's weights towards a uniform prediction",
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

    def score(self, batch: Batch) -> Tensor:
        """Return the negative norm of the gradients: (n,) float32."""
        probabilities = (self.head(batch.features) / self.temperature).softmax(dim=1)
        of_logits = (probabilities - 1 / probabilities.shape[1]) / self.temperature
        norms: Tensor = of_logits.abs().sum(dim=1) * batch.features.abs().sum(dim=1)
        return -norms
