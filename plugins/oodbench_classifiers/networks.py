"""The residual networks of the classifiers, and random shifts of images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.2
"""Slope of LeakyReLU below zero (section 3.1 of the paper)."""


class ResidualBlock(nn.Module):
    """Add two 3x3 convolutions, each after batch normalisation and activation, to the input.

    Args:
        before: channels of the input.
        after: channels of the output.
        stride: of the first convolution.
        slope: of LeakyReLU; 0 is ReLU.
    """

    def __init__(self, before: int, after: int, stride: int = 1, slope: float = SLOPE) -> None:
        super().__init__()
        self.slope = slope
        self.norm1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        changes = before != after or stride != 1
        self.shortcut = nn.Conv2d(before, after, 1, stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, before, h, w) to (n, after, h / stride, w / stride)."""
        activated = functional.leaky_relu(self.norm1(x), self.slope)
        kept = x if self.shortcut is None else self.shortcut(activated)
        y = self.conv1(activated)
        changed: Tensor = self.conv2(functional.leaky_relu(self.norm2(y), self.slope))
        # A sum is laid out in memory like its first term: channels last, which ``kept`` is not
        # where it comes from a grey image.
        return changed + kept


class PooledNetwork(nn.Module):
    """Normalise, apply a backbone, pool over all places, classify.

    Args:
        backbone: maps (n, c, h, w) to (n, d, h', w').
        d: channels of its output.
        num_classes: classes.
        slope: of the activation before pooling.
        groups: positions in the backbone at which its groups of blocks end, but for the last.
    """

    def __init__(
        self,
        backbone: nn.Sequential,
        d: int,
        num_classes: int,
        slope: float,
        groups: Sequence[int],
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.groups = tuple(groups)
        self.norm = nn.BatchNorm2d(d)
        self.activation = nn.LeakyReLU(slope)
        self.head = nn.Linear(d, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, x: Tensor) -> Tensor:
        """Map images (n, c, h, w) in [0, 1] to features (n, d) float32."""
        y = self.norm(self.backbone((x - 0.5) * 2))
        # pooled in float32: a mean in bfloat16 has few distinct values
        pooled: Tensor = self.activation(y).float().mean((2, 3))
        return pooled

    def layers(self) -> dict[str, nn.Module]:
        """Return what puts out the maps of each group, those of the last one activated."""
        modules = [*(self.backbone[end] for end in self.groups), self.activation]
        return {f"group{number}": module for number, module in enumerate(modules, 1)}

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, c, h, w) in [0, 1] to logits (n, k)."""
        logits: Tensor = self.head(self.features(x))
        return logits


class SmallPreactResNet(PooledNetwork):
    """The classifier for MNIST of section 3.1.

    Args:
        channels: of the images.
        num_classes: classes.
        width: filters of every block.
    """

    def __init__(self, channels: int, num_classes: int, width: int) -> None:
        layers: list[nn.Module] = [
            ResidualBlock(channels, width),
            nn.AvgPool2d(2, ceil_mode=True),
            ResidualBlock(width, width),
            nn.AvgPool2d(2, ceil_mode=True),
            ResidualBlock(width, width),
            ResidualBlock(width, width),
            nn.AvgPool2d(2, ceil_mode=True),
            ResidualBlock(width, width),
            ResidualBlock(width, width),
        ]
        super().__init__(nn.Sequential(*layers), width, num_classes, SLOPE, (0, 2, 5))


class WideResidualNetwork(PooledNetwork):
    """A wide residual network: three groups of blocks with 16, 32 and 64 times ``width`` filters.

    Args:
        channels: of the images.
        num_classes: classes.
        blocks: of each group.
        width: factor on the filters.
    """

    def __init__(self, channels: int, num_classes: int, blocks: int, width: int) -> None:
        layers: list[nn.Module] = [nn.Conv2d(channels, 16, 3, 1, 1, bias=False)]
        before = 16
        for group, filters in enumerate((16 * width, 32 * width, 64 * width)):
            for number in range(blocks):
                stride = 2 if group > 0 and number == 0 else 1
                layers.append(ResidualBlock(before, filters, stride))
                before = filters
        groups = (blocks, 2 * blocks)
        super().__init__(nn.Sequential(*layers), before, num_classes, SLOPE, groups)


def shifted(images: Tensor, pixels: int, generator: torch.Generator) -> Tensor:
    """Move a batch by a random whole number of pixels, up to ``pixels`` each way; zeros come in.

    All images of a batch move alike, which costs one copy; batches differ.

    Args:
        images: (n, c, h, w).
        pixels: largest shift.
        generator: a CPU generator.
    """
    if pixels == 0:
        return images
    down, right = torch.randint(0, 2 * pixels + 1, (2,), generator=generator).tolist()
    height, width = images.shape[2:]
    padded = functional.pad(images, (pixels, pixels, pixels, pixels))
    return padded[:, :, down : down + height, right : right + width]
