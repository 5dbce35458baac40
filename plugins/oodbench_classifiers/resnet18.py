"""ResNet-18 for images of 32x32 pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from oodbench.contracts import Classifier, Info, Paper, Recipe
from oodbench_classifiers.normalisation import NORMALISATIONS, Normalisation, statistics

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

PAPER = Paper(
    title="Deep Residual Learning for Image Recognition",
    authors="He et al.",
    venue="CVPR",
    year=2016,
    url="https://arxiv.org/abs/1512.03385",
)


class ResNet18(Classifier):
    """ResNet-18 for small images: 64 to 512 filters in four groups of two blocks, 512 features.

    The stem keeps the resolution, with a 3x3 convolution of stride 1 and no pooling, where the
    original, for ImageNet, reduces it fourfold. Names in its state dictionary are torchvision's
    (``conv1.weight``, ``layer1.0.bn1.bias``, ..., ``fc.weight``), after ``network.``.

    Args:
        epochs: passes over the training images.
        shift: training images are moved by up to this many pixels in each direction.
        flip: whether training images are mirrored at random; by default where the ID set says that
            they keep their classes.
        normalisation: whose mean and deviation inputs are normalised by: ``half`` (0.5 and 0.5),
            ``imagenet``, ``cifar10``, ``cifar100`` or ``none``. For weights of your own, what
            these were trained with.
    """

    info = Info(
        name="resnet18",
        summary="ResNet-18 with the stem for images of 32x32 pixels: 11 million weights.",
        paper=PAPER,
        deviations=(
            "The stem for 32x32 pixels: a 3x3 convolution, stride 1, no pooling.",
            "Trained for 30 epochs of one cycle by default.",
        ),
    )

    def __init__(
        self,
        *,
        epochs: int = 30,
        shift: int = 4,
        flip: bool | None = None,
        normalisation: Normalisation = "half",
    ) -> None:
        if epochs < 1 or shift < 0:
            raise ValueError("epochs must be at least 1, shift at least 0")
        if normalisation not in NORMALISATIONS:
            raise ValueError(f"normalisation must be one of {', '.join(NORMALISATIONS)}")
        self.epochs = epochs
        self.shift = shift
        self.flip = flip
        self.normalisation = normalisation

    @property
    def recipe(self) -> Recipe:
        """Return the recipe."""
        return Recipe(epochs=self.epochs, batch_size=128, learning_rate=0.2, weight_decay=5e-4)

    def build(self, shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        """Return a new network."""
        from torch import nn
        from torchvision.models import resnet18

        from oodbench_classifiers.wrappers import LastLinear

        network = resnet18(weights=None, num_classes=num_classes)
        stem = nn.Conv2d(shape[0], 64, 3, 1, 1, bias=False)
        nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
        network.conv1 = stem
        network.maxpool = nn.Identity()
        return LastLinear(network, *statistics(self.normalisation, shape[0]))

    def layers(self, module: nn.Module) -> Mapping[str, nn.Module]:
        """Return the outputs of the four groups of blocks."""
        network: Any = module.network
        return {name: getattr(network, name) for name in ("layer1", "layer2", "layer3", "layer4")}

    def augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Mirror half of the images if `flip` says so, and move each by some whole pixels."""
        from oodbench_classifiers.augmentation import mirrored, shifted

        if self.flip:
            images = mirrored(images, generator)
        return shifted(images, self.shift, generator)
