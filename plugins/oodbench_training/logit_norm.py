"""Logit normalisation: training on logits of constant norm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodbench.contracts import DerivedClassifier, Info, Paper

if TYPE_CHECKING:
    from torch import Tensor


class LogitNorm(DerivedClassifier):
    """Minimise the cross-entropy of logits that are divided by their norm and a temperature.

    A step minimises the cross-entropy of f(x) / (temperature * |f(x)|) (equation 6 of the paper),
    by the loss of pytorch-ood, so that confidence cannot grow with the norm of the logits f(x).
    Detectors see f(x) itself.

    Args:
        network: name of the classifier that is trained so.
        temperature: the paper's for CIFAR-10.
    """

    info = Info(
        name="logit-norm",
        summary="Logit normalisation: another classifier, trained on logits of constant norm.",
        paper=Paper(
            title="Mitigating Neural Network Overconfidence with Logit Normalization",
            authors="Wei et al.",
            venue="ICML",
            year=2022,
            url="https://arxiv.org/abs/2205.09310",
        ),
        deviations=("Trained by the recipe of the network.",),
    )

    def __init__(self, *, network: str = "preact-resnet", temperature: float = 0.04) -> None:
        if temperature <= 0:
            raise ValueError(f"temperature must be greater than 0, not {temperature}")
        self.network = network
        self.temperature = temperature

    def loss(self, logits: Tensor, labels: Tensor, done: float) -> Tensor:
        """Return the loss of a step."""
        from pytorch_ood.loss import LogitNorm as Loss

        loss: Tensor = Loss(t=self.temperature)(logits, labels)
        return loss
