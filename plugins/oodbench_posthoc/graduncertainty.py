"""Gradient uncertainty: the gradients of the head towards all classes at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodbench.contracts import Batch, Info, Paper
from oodbench_posthoc.head_gradients import HeadGradient

if TYPE_CHECKING:
    from torch import Tensor


class GradientUncertainty(HeadGradient):
    """Score by how little the head would have to change to predict every class at once.

    s(x) = -(|dL / dW|^2 + |dL / db|^2), where L is the binary cross-entropy between softmax(f(x))
    and a label of ones, f(x) are the k logits, and W and b are the weights and bias of the head.
    With g = dL / df = k softmax(f(x)) - 1, that is -|g|^2 (|z|^2 + 1), where z are the penultimate
    features.
    """

    original = "GradUncertainty"
    info = Info(
        name="graduncertainty",
        title="GradUncertainty",
        summary="Small gradients of the head towards a label that confounds all classes",
        paper=Paper(
            title="Gradients as a Measure of Uncertainty in Neural Networks",
            authors="Lee and AlRegib",
            venue="ICIP",
            year=2020,
            url="https://arxiv.org/abs/2008.08030",
        ),
        deviations=(
            "The gradients of the head alone, not those of all layers.",
            "Their norm is the score, its sign fixed; the paper trains a network that tells the "
            "gradients of ID and OOD images apart (pytorch-ood).",
            "Probabilities below 1e-12 have gradients too, which PyTorch's binary cross-entropy "
            "leaves out.",
        ),
    )

    def score(self, batch: Batch) -> Tensor:
        """Return the negative squared norm of the gradients: (n,) float32."""
        features, head = batch.features, self.head
        probabilities = head(features).softmax(dim=1)
        of_logits = probabilities.shape[1] * probabilities - 1
        of_head = features.square().sum(dim=1) + (head.bias is not None)
        scores: Tensor = -of_logits.square().sum(dim=1) * of_head
        return scores
