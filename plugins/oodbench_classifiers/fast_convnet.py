"""A small convolutional network for CIFAR-10."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from oodbench.contracts import Classifier, Info, Paper, Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

COMMON = (
    "The first filters are the cosine transform of colours and places, not the principal "
    "components of training patches.",
    "ReLU in place of GELU, so that outputs of blocks and features are never negative; "
    "features are means of the last maps, not their maxima.",
    "Muon in place of SGD for convolutions, no average of weights (Lookahead), "
    "mirrored at random in each epoch, one cycle of the learning rate by a cosine.",
)
"""Deviations from the paper, however many epochs there are."""

ONE_VIEW = "Images are classified once, as they are; the paper averages six views."


class FastConvNet(Classifier):
    """Six convolutions of 3x3 pixels on fixed filters: 2.0 million weights, 256 features.

    Patches of 2x2 pixels pass fixed filters that decorrelate them, are normalised, and enter, with
    either sign, three blocks of two convolutions with ``width``, then 4 ``width`` filters.
    Features, the means of the maps, are never negative. Filters begin as the identity, biases
    learn 64 times as fast as they would, and steps of the convolutions are orthogonal (Muon).

    Args:
        width: filters of the first block, at least 24; the others have 4 times as many, as many as
            there are features.
        epochs: passes over the training images.
        shift: training images are moved by up to this many pixels in each direction; what is
            missing then is reflected.
        cutout: side of the square of each training image that turns grey.
        flip: whether training images are mirrored at random; by default where the ID set says that
            they keep their classes.
    """

    other_rate: ClassVar = 0.1
    """The highest learning rate of what is no convolution."""

    other_momentum: ClassVar = 0.9
    """Its momentum."""

    info = Info(
        name="fast-convnet",
        summary="A convolutional network of 2.0 million weights for CIFAR-10.",
        paper=Paper(
            title="94% on CIFAR-10 in 3.29 Seconds on a Single GPU",
            authors="Jordan",
            venue="arXiv",
            year=2024,
            url="https://arxiv.org/abs/2404.00498",
        ),
        deviations=(
            *COMMON,
            "Plain cross-entropy without smoothed labels; 64 epochs with shifts of 4 pixels and "
            "cutout of 12, whose squares may lie partly outside the image.",
            ONE_VIEW,
        ),
    )

    def __init__(
        self,
        *,
        width: int = 64,
        epochs: int = 64,
        shift: int = 4,
        cutout: int = 12,
        flip: bool | None = None,
    ) -> None:
        if width < 24 or epochs < 1 or min(shift, cutout) < 0:
            raise ValueError(
                "width must be at least 24, epochs at least 1, shift and cutout at least 0"
            )
        self.width = width
        self.epochs = epochs
        self.shift = shift
        self.cutout = cutout
        self.flip = flip

    @property
    def recipe(self) -> Recipe:
        """Return the recipe."""
        return Recipe(
            epochs=self.epochs,
            batch_size=250,
            learning_rate=0.05,
            warmup=0.1,
            momentum=0.6,
            weight_decay=0.001,
        )

    def build(self, shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        """Return a new network."""
        from oodbench_classifiers.fast_network import FastNetwork

        return FastNetwork(shape[0], num_classes, self.width)

    def layers(self, module: nn.Module) -> Mapping[str, nn.Module]:
        """Return the outputs of the three blocks."""
        network: Any = module
        return {name: getattr(network, name) for name in ("block1", "block2", "block3")}

    def optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        """Return Muon for convolutions, with SGD for the rest."""
        from oodbench_classifiers.muon import Muon

        return Muon(
            module.parameters(),
            learning_rate=self.recipe.learning_rate,
            momentum=self.recipe.momentum,
            other_rate=self.other_rate,
            other_momentum=self.other_momentum,
            weight_decay=self.recipe.weight_decay,
        )

    def augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Mirror half of the images if `flip` says so, move each, and turn a square of it grey."""
        from oodbench_classifiers.augmentation import cut_out, mirrored, shifted

        if self.flip:
            images = mirrored(images, generator)
        moved = shifted(images, self.shift, generator, padding="reflect")
        return cut_out(moved, self.cutout, generator)
