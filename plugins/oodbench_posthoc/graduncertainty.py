"""Score by the gradients of the head towards all classes at once."""

from __future__ import annotations

from oodbench.contracts import Info, Paper
from oodbench_posthoc.adapter import HeadGradientAdapter


class GradientUncertainty(HeadGradientAdapter):
    """Score by how little the head would have to change to predict every class at once.

    s(x) = -(|dL / dW|^2 + |dL / db|^2), where L is the binary cross-entropy between softmax(f(x))
    and a label of ones, f(x) are the logits, and W and b are the weights and bias of the head.
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
        ),
    )
