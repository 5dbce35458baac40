"""T2FNorm: training on features of norm 1, and scoring by features as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oodbench.contracts import (
    DerivedClassifier,
    Info,
    InvalidParameter,
    Paper,
    PluginError,
    TrainingStep,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


class T2FNorm(DerivedClassifier):
    """Train the head on features of norm 1, divided by a temperature, and score by others.

    With features h(x) and the head's weight W and bias b, a step minimises the cross-entropy of

        W h(x) / (temperature * |h(x)|) + b,

    and the trained classifier has the logits W h(x) / temperature + b, which grow with the norm of
    the features: W is divided by the temperature at the end of the training. Scales and biases
    decay as the other weights do, by which norms, of which the loss knows nothing, become small.
    Made for the detector ``msp``; all others see the same head.

    Args:
        network: name of the classifier that is trained so; its head must be linear.
        temperature: the authors' for CIFAR-10.

    Raises:
        InvalidParameter: if the temperature is not above 0.
    """

    info = Info(
        name="t2fnorm",
        title="T2FNorm",
        summary="T2FNorm: another classifier, trained on features of norm 1.",
        paper=Paper(
            title="T2FNorm: Train-time Feature Normalization for OOD Detection in Image "
            "Classification",
            authors="Regmi et al.",
            venue="CVPR Workshops",
            year=2024,
            url="https://arxiv.org/abs/2305.17797",
        ),
        deviations=(
            "Trained by the recipe of the network.",
            "Classes are predicted without normalising features, as scores are computed.",
        ),
    )

    def __init__(self, *, network: str = "preact-resnet", temperature: float = 0.1) -> None:
        if temperature <= 0:
            raise InvalidParameter(f"temperature must be above 0, not {temperature}")
        self.network = network
        self.temperature = temperature

    def optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        """Return the optimizer of the other classifier, with weight decay for all weights."""
        optimizer = super().optimizer(module)
        for group in optimizer.param_groups:
            group["weight_decay"] = self.recipe.weight_decay
        return optimizer

    def begin(self, module: nn.Module, shape: tuple[int, int, int], num_classes: int) -> None:
        """Refuse a head that is not linear, before hours of training."""
        _linear(module)

    def objective(self, step: TrainingStep) -> tuple[Tensor, Tensor]:
        """Return the loss and the logits of normalised features."""
        from torch.nn import functional

        features = step.features(self.augment(step.images, step.generator))
        logits: Tensor = _linear(step.module)(functional.normalize(features) / self.temperature)
        return self.loss(logits, step.labels, step.done), logits

    def finish(self, module: nn.Module) -> None:
        """Divide the weight of the head by the temperature."""
        import torch

        with torch.no_grad():
            _linear(module).weight /= self.temperature


def _linear(module: Any) -> nn.Linear:
    from torch import nn

    if not isinstance(module.head, nn.Linear):
        kind = type(module.head).__name__
        raise PluginError(f"t2fnorm needs a network with a linear head, not a {kind}")
    return module.head
