"""The networks whose weights OpenOOD and pytorch-ood publish, by their names there."""

from __future__ import annotations

import copy
import difflib
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from oodbench.contracts import CustomClassifier, Info, InvalidParameter, Paper, Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from oodbench.contracts import Dataset

Choice = Literal["auto", "half", "imagenet", "cifar10", "cifar100", "none"]

Statistics = tuple[tuple[float, ...], tuple[float, ...]]

STATISTICS: dict[str, Statistics] = {
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
"""The pixel means and standard deviations that OpenOOD normalises by."""

SMALL = ("resnet18_32x32", "resnet18_64x64", "wrn")
"""OpenOOD's networks for images of 32x32 and 64x64 pixels."""

LARGE = {
    "resnet18_224x224": "resnet18",
    "resnet50": "resnet50",
    "vit_b_16": "vit_b_16",
    "swin_t": "swin_t",
    "regnet_y_16gf": "regnet_y_16gf",
}
"""OpenOOD's networks for images of 224x224 pixels, and torchvision's names of the same."""

HEADS = {"vit_b_16": "heads.head", "swin_t": "head"}
"""The last layers that are not called ``fc``."""

GROUPS = ("layer1", "layer2", "layer3", "layer4")


class Published(CustomClassifier):
    """A network of which weights are published, to load them into.

    Args:
        normalisation: whose mean and deviation inputs are normalised by: ``half`` (0.5 and 0.5),
            ``imagenet``, ``cifar10``, ``cifar100``, ``none``, or ``auto``: that of the ID set.
        epochs: passes over the training images, where it is trained here.
        shift: training images are moved by up to this many pixels in each direction.
        flip: whether training images are mirrored at random; by default where the ID set says that
            they keep their classes.
    """

    normalisation: Choice
    epochs: int
    shift: int

    def __init__(
        self, *, normalisation: Choice, epochs: int, shift: int, flip: bool | None
    ) -> None:
        if normalisation not in get_args(Choice):
            raise ValueError(f"normalisation must be one of {', '.join(get_args(Choice))}")
        if epochs < 1 or shift < 0:
            raise ValueError("epochs must be at least 1, shift at least 0")
        self.normalisation = normalisation
        self.epochs = epochs
        self.shift = shift
        self.flip = flip

    @property
    def recipe(self) -> Recipe:
        """Return the recipe."""
        return Recipe(epochs=self.epochs, batch_size=128, learning_rate=0.1, weight_decay=5e-4)

    def suited(self, dataset: Dataset) -> Self:
        """Return the classifier with the normalisation that the weights for an ID set have."""
        suited = super().suited(dataset)
        if suited.normalisation == "auto":
            suited = copy.copy(suited)
            suited.normalisation = self.usual(dataset.info.name)
        return suited

    @abstractmethod
    def usual(self, dataset: str) -> Choice:
        """Return the normalisation that the weights for an ID set were trained with."""

    def statistics(self) -> Statistics:
        """Return mean and deviation of red, green and blue."""
        chosen = self.usual("") if self.normalisation == "auto" else self.normalisation
        return STATISTICS[chosen]

    def augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Mirror half of the images if `flip` says so, and move the batch by some whole pixels."""
        import torch
        from torch.nn import functional

        if self.flip:
            chosen = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
            images = torch.where(chosen[:, None, None, None], images.flip(3), images)
        down, right = torch.randint(0, 2 * self.shift + 1, (2,), generator=generator).tolist()
        height, width = images.shape[2:]
        padded = functional.pad(images, (self.shift,) * 4)
        return padded[:, :, down : down + height, right : right + width]


class OpenOOD(Published):
    """A network of OpenOOD v1.5: ``openood/resnet18_32x32``.

    Made to load the weights that OpenOOD publishes (``--classifier best.ckpt --arch
    openood/resnet18_32x32``). With ``auto``, inputs are normalised as OpenOOD normalises those of
    the ID set: by statistics of their own for CIFAR-10 and CIFAR-100, by those of ImageNet for the
    networks for 224x224 pixels, and else by a mean and deviation of 0.5. Other parameters are
    those of `Published`.

    Args:
        model: its name in OpenOOD: ``resnet18_32x32``, ``resnet18_64x64``, ``wrn`` (28-10),
            ``resnet18_224x224``, ``resnet50``, ``vit_b_16``, ``swin_t`` or ``regnet_y_16gf``.
    """

    argument = "model"

    info = Info(
        name="openood",
        summary="A network of OpenOOD, for its published weights: openood/resnet18_32x32.",
        paper=Paper(
            title="OpenOOD v1.5: Enhanced Benchmark for Out-of-Distribution Detection",
            authors="Zhang et al.",
            venue="DMLR",
            year=2024,
            url="https://arxiv.org/abs/2306.09301",
        ),
        deviations=(
            "Trained here, it follows one cycle of the learning rate, and without dropout.",
        ),
    )

    def __init__(
        self,
        *,
        model: str = "resnet18_32x32",
        normalisation: Choice = "auto",
        epochs: int = 100,
        shift: int = 4,
        flip: bool | None = None,
    ) -> None:
        known = (*SMALL, *LARGE)
        if model not in known:
            close = difflib.get_close_matches(model, known, n=1, cutoff=0.4)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ValueError(f"model must be one of {', '.join(known)}, not '{model}'{hint}")
        super().__init__(normalisation=normalisation, epochs=epochs, shift=shift, flip=flip)
        self.model = model

    def usual(self, dataset: str) -> Choice:
        """Return the normalisation that OpenOOD uses for an ID set."""
        name = dataset.removeprefix("openood-")
        if name == "cifar10":
            return "cifar10"
        if name == "cifar100":
            return "cifar100"
        return "imagenet" if self.model in LARGE or name.startswith("imagenet") else "half"

    def build(self, shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        """Return a new network.

        Raises:
            InvalidParameter: if it does not take such images.
        """
        from torch import nn
        from torchvision import models

        from oodbench_openood.networks import PublishedNetwork

        if self.model == "wrn":
            return _wide_resnet(num_classes, 28, 10, 0.0, self.statistics())
        if self.model == "vit_b_16" and shape[1:] != (224, 224):
            raise InvalidParameter(
                f"{self.full_name} takes 224x224 pixels, not {shape[1]}x{shape[2]}"
            )
        name = LARGE.get(self.model, "resnet18")
        network = models.get_model(name, weights=None, num_classes=num_classes)
        if self.model in SMALL:
            stem = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
            nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
            network.conv1 = stem
            network.maxpool = nn.Identity()
        return PublishedNetwork(network, HEADS.get(name, "fc"), *self.statistics())

    def weight_name(self, name: str) -> str:
        """Return torchvision's name of a weight of OpenOOD's ResNet-18 for small images."""
        return name.replace(".shortcut.", ".downsample.") if self.model in SMALL else name

    def layers(self, module: nn.Module) -> Mapping[str, nn.Module]:
        """Return the outputs of the groups of blocks of a residual network."""
        network: Any = module.network
        if self.model == "wrn":
            return _wide_layers(network)
        if "resnet" in self.model:
            return {name: getattr(network, name) for name in GROUPS}
        return {}


class PytorchOOD(Published):
    """The wide residual network of pytorch-ood, whose weights it publishes for CIFAR.

    With ``auto``, inputs are normalised by the statistics of CIFAR-10, as for all of these
    weights. Other parameters are those of `Published`.

    Args:
        depth: number of weighted layers, 6 n + 4.
        width: factor on the filters 16, 32, 64.
    """

    info = Info(
        name="pytorch-ood-wrn",
        summary="The WideResNet40-2 of pytorch-ood, for its published weights.",
        paper=Paper(
            title="Wide Residual Networks",
            authors="Zagoruyko and Komodakis",
            venue="BMVC",
            year=2016,
            url="https://arxiv.org/abs/1605.07146",
        ),
    )

    def __init__(
        self,
        *,
        depth: int = 40,
        width: int = 2,
        normalisation: Choice = "auto",
        epochs: int = 100,
        shift: int = 4,
        flip: bool | None = None,
    ) -> None:
        if depth < 10 or (depth - 4) % 6:
            raise ValueError(f"depth must be 6 n + 4 (10, 16, 22, ...), not {depth}")
        if width < 1:
            raise ValueError(f"width must be at least 1, not {width}")
        super().__init__(normalisation=normalisation, epochs=epochs, shift=shift, flip=flip)
        self.depth = depth
        self.width = width

    def usual(self, dataset: str) -> Choice:
        """Return the normalisation of all of these weights."""
        return "cifar10"

    def build(self, shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        """Return a new network."""
        return _wide_resnet(num_classes, self.depth, self.width, 0.3, self.statistics())

    def layers(self, module: nn.Module) -> Mapping[str, nn.Module]:
        """Return the outputs of the groups of blocks, that of the last one activated."""
        return _wide_layers(module.network)


def _wide_resnet(
    num_classes: int, depth: int, width: int, dropout: float, statistics: Statistics
) -> nn.Module:
    """Return pytorch-ood's network, whose weights are named as in OpenOOD."""
    from oodbench_openood.networks import PooledWideResNet, PublishedNetwork

    network = PooledWideResNet(num_classes, depth=depth, widen_factor=width, drop_rate=dropout)
    return PublishedNetwork(network, "fc", *statistics)


def _wide_layers(network: Any) -> Mapping[str, nn.Module]:
    return {"block1": network.block1, "block2": network.block2, "block3": network.relu}
