"""The small pre-activation ResNet that the GANAD paper protects on MNIST."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from oodbench.contracts import Classifier, Info, Paper, Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

GANAD_PAPER = Paper(
    title="GAN-Based Anomaly Detection Tailored for Classifiers",
    authors="Králik et al.",
    venue="Mathematics",
    year=2024,
    url="https://doi.org/10.3390/math12101439",
)


class PreactResNet(Classifier):
    """RB32, AvgPool, RB32, AvgPool, RB32, RB32, AvgPool, RB32, RB32, GlobalAvgPool, Dense.

    RBz is a pre-activation residual block of two 3x3 convolutions with z filters and LeakyReLU of
    slope 0.2 (section 3.1 of the paper). It reached 98.27 % on MNIST there.

    Args:
        width: filters of every block, and number of features.
        epochs: passes over the training images.
        shift: training images are moved by up to this many pixels in each direction.
    """

    info = Info(
        name="preact-resnet",
        summary="The paper's MNIST classifier: six pre-activation residual blocks of 32 filters.",
        paper=GANAD_PAPER,
        deviations=(
            "The paper does not say how its classifier was trained; here: SGD with one cycle of "
            "the learning rate and images moved by up to two pixels.",
        ),
    )

    def __init__(self, *, width: int = 32, epochs: int = 4, shift: int = 2) -> None:
        if min(width, epochs) < 1 or shift < 0:
            raise ValueError("width and epochs must be at least 1, shift at least 0")
        self.width = width
        self.epochs = epochs
        self.shift = shift

    @property
    def recipe(self) -> Recipe:
        """Return the recipe."""
        return Recipe(epochs=self.epochs, batch_size=128, learning_rate=0.2, weight_decay=5e-4)

    def build(self, shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        """Return a new network."""
        from oodbench_classifiers.networks import SmallPreactResNet

        return SmallPreactResNet(shape[0], num_classes, self.width)

    def layers(self, module: nn.Module) -> Mapping[str, nn.Module]:
        """Return the outputs of the groups of blocks, that of the last one activated."""
        from oodbench_classifiers.networks import PooledNetwork

        assert isinstance(module, PooledNetwork)
        return module.layers()

    def augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Move the images of a batch by a random whole number of pixels."""
        from oodbench_classifiers.networks import shifted

        return shifted(images, self.shift, generator)
