"""The convolutional network that learns small photographs in few passes."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

BIAS_FACTOR = 8.0
"""What biases are multiplied by: under SGD they learn faster by its square (section 3.4)."""

FEATURE_SCALE = 0.4
"""What features are multiplied by, so that the first logits are small (section 3.1: 1/9, for maxima
of the maps)."""


def cosines(n: int) -> Tensor:
    """Return the orthonormal basis of the discrete cosine transform: (n, n), one vector a row."""
    places = torch.arange(n) + 0.5
    basis = torch.cos(torch.outer(torch.arange(n), places) * (math.pi / n))
    return functional.normalize(basis, dim=1)


class Stem(nn.Module):
    """Decorrelate 2x2 patches by fixed filters, normalise, and keep either sign.

    The filters are the cosine transform of rows, columns and channels: for colours, brightness
    and two differences of colours. It is close to the principal components of photographs' patches,
    so that normalising its outputs nearly whitens them.

    Args:
        channels: of the images; 8 times as many come out.
    """

    filters: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        colours, sides = cosines(channels), cosines(2)
        filters = torch.einsum("ac,bi,dj->abdcij", colours, sides, sides)
        self.register_buffer("filters", filters.reshape(-1, channels, 2, 2), persistent=False)
        self.norm = nn.BatchNorm2d(4 * channels, affine=False)
        self.bias = nn.Parameter(torch.zeros(8 * channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, c, h, w) to (n, 8 c, h - 1, w - 1)."""
        # in float32: a small difference of bright pixels is lost in bfloat16
        with torch.autocast(x.device.type, enabled=False):
            y = self.norm(functional.conv2d(x, self.filters))
        return functional.relu(torch.cat([y, -y], 1) + BIAS_FACTOR * self.bias[:, None, None])


class Norm(nn.BatchNorm2d):
    """Batch normalisation with a bias that learns fast, and without a scale."""

    scale: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=False)
        self.shift = nn.Parameter(torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to the same shape."""
        return functional.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.scale,
            BIAS_FACTOR * self.shift,
            self.training,
            self.momentum or 0.0,
            self.eps,
        )


def convolution(before: int, after: int) -> nn.Conv2d:
    """Return a 3x3 convolution whose first filters pass the input on."""
    made = nn.Conv2d(before, after, 3, padding=1, bias=False)
    nn.init.dirac_(made.weight.data[:before])
    return made


class Block(nn.Module):
    """Two 3x3 convolutions, each normalised and activated; maps halve after the first.

    Args:
        before: channels of the input.
        after: channels of the output, no fewer.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1 = convolution(before, after)
        self.norm1 = Norm(after)
        self.conv2 = convolution(after, after)
        self.norm2 = Norm(after)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, before, h, w) to (n, after, h // 2, w // 2), never negative."""
        y = self.conv1(x)
        if min(y.shape[2:]) > 1:
            y = functional.max_pool2d(y, 2)
        y = functional.relu(self.norm1(y))
        return functional.relu(self.norm2(self.conv2(y)))


class FastNetwork(nn.Module):
    """Fixed stem, three blocks, the mean of each map, a linear head.

    Args:
        channels: of the images.
        num_classes: classes.
        width: filters of the first block; the others have 4 times as many.
    """

    def __init__(self, channels: int, num_classes: int, width: int) -> None:
        super().__init__()
        self.stem = Stem(channels)
        self.block1 = Block(8 * channels, width)
        self.block2 = Block(width, 4 * width)
        self.block3 = Block(4 * width, 4 * width)
        self.head = nn.Linear(4 * width, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """Map images (n, c, h, w) in [0, 1] to features (n, d) float32, never negative."""
        maps = self.block3(self.block2(self.block1(self.stem(x))))
        means: Tensor = maps.float().mean((2, 3))
        return means * FEATURE_SCALE

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, c, h, w) in [0, 1] to logits (n, k)."""
        logits: Tensor = self.head(self.features(x))
        return logits
