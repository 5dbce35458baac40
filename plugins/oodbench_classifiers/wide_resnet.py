"""The wide residual network that the GANAD paper protects on CIFAR-10."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from oodbench.contracts import Classifier, Info, Paper, Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


class WideResNet(Classifier):
    """WideResNet16-4 with global average pooling and 256 features.

    Section 3.1 of Králik et al. (2024) names it as the backbone for CIFAR-10, with 94.77 %.

    Args:
        depth: number of weighted layers, 6 n + 4.
        width: factor on the filters 16, 32, 64.
        epochs: passes over the training images.
        shift: training images are moved by up to this many pixels in each direction.
        flip: whether training images are mirrored at random; by default where the ID set says that
            they keep their classes.
    """

    info = Info(
        name="wideresnet16-4",
        summary="The paper's CIFAR-10 classifier: a wide residual network with 256 features.",
        paper=Paper(
            title="Wide Residual Networks",
            authors="Zagoruyko and Komodakis",
            venue="BMVC",
            year=2016,
            url="https://arxiv.org/abs/1605.07146",
        ),
        deviations=("Trained for 30 epochs of one cycle by default, where the original took 200.",),
    )

    def __init__(
        self,
        *,
        depth: int = 16,
        width: int = 4,
        epochs: int = 30,
        shift: int = 4,
        flip: bool | None = None,
    ) -> None:
        if depth < 10 or (depth - 4) % 6:
            raise ValueError(f"depth must be 6 n + 4 (10, 16, 22, ...), not {depth}")
        if min(width, epochs) < 1 or shift < 0:
            raise ValueError("width and epochs must be at least 1, shift at least 0")
        self.depth = depth
        self.width = width
        self.epochs = epochs
        self.shift = shift
        self.flip = flip

    @property
    def recipe(self) -> Recipe:
        """Return the recipe."""
        return Recipe(epochs=self.epochs, batch_size=128, learning_rate=0.2, weight_decay=5e-4)

    def build(self, shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        """Return a new network."""
        from oodbench_classifiers.networks import WideResidualNetwork

        return WideResidualNetwork(shape[0], num_classes, (self.depth - 4) // 6, self.width)

    def layers(self, module: nn.Module) -> Mapping[str, nn.Module]:
        """Return the outputs of the groups of blocks, that of the last one activated."""
        from oodbench_classifiers.networks import PooledNetwork

        assert isinstance(module, PooledNetwork)
        return module.layers()

    def augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Mirror about half of the images, and move the batch by a whole number of pixels."""
        import torch

        from oodbench_classifiers.networks import shifted

        if self.flip:
            mirrored = torch.rand(len(images), generator=generator) < 0.5
            chosen = mirrored.to(images.device)[:, None, None, None]
            images = torch.where(chosen, images.flip(3), images)
        return shifted(images, self.shift, generator)
