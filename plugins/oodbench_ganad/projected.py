"""Generator and critic for photographs, after Miyato et al. and Miyato and Koyama.

"Spectral Normalization for Generative Adversarial Networks" and "cGANs with Projection
Discriminator" (both ICLR 2018): residual blocks of two convolutions, batch normalisation whose
scale and shift depend on the class, a critic whose layers have a spectral norm of 1 and which meets
the class by an inner product with its features. As for the paper's networks, convolutions next to a
change of resolution are computed with 4x4 kernels, and seed and class enter the generator together.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oodbench_ganad.layers import UpConvolution, halvings, widened
from oodbench_ganad.recipes import Architecture

GENERATOR_START = 7
"""Longest side of the generator's first feature maps."""

CRITIC_END = 8
"""Longest side of the critic's last feature maps."""

LEVEL_BLOCKS = 2
"""Blocks of the critic at its lowest resolution."""


class ProjectedGenerator(nn.Module):
    """The generator, from seeds and classes to images.

    Args:
        architecture: widths and seed length.
        shape: (c, h, w) of the images.
        num_classes: k.
    """

    def __init__(
        self, architecture: Architecture, shape: tuple[int, int, int], num_classes: int
    ) -> None:
        super().__init__()
        channels, height, width = shape
        doublings = halvings(max(height, width), GENERATOR_START)
        rows, columns = -(-height >> doublings), -(-width >> doublings)
        widths = architecture.generator_widths(doublings)[::-1]
        self.shape = shape
        self.num_classes = num_classes
        self.start = nn.Sequential(
            nn.Linear(architecture.seed_length + num_classes, rows * columns * widths[0]),
            nn.Unflatten(1, (widths[0], rows, columns)),
        )
        self.blocks = nn.ModuleList(
            UpBlock(before, after, num_classes) for before, after in itertools.pairwise(widths)
        )
        self.norm = nn.BatchNorm2d(widths[-1])
        self.end = nn.Conv2d(widths[-1], channels, kernel_size=3, padding=1)

    def forward(self, seeds: Tensor, classes: Tensor) -> Tensor:
        """Return images: seeds (n, N) float and classes (n,) int64 to (n, c, h, w) in [0, 1]."""
        condition = F.one_hot(classes, self.num_classes).to(seeds.dtype)
        x = self.start(torch.cat([seeds, condition], dim=1))
        x = x.contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            x = block(x, condition)
        images = torch.sigmoid(self.end(F.relu(self.norm(x))).float())
        _, height, width = self.shape
        return images[:, :, :height, :width]


class UpBlock(nn.Module):
    """Pre-activation residual block that doubles the resolution.

    Args:
        before: channels of the input.
        after: channels of the output.
        num_classes: k.
    """

    def __init__(self, before: int, after: int, num_classes: int) -> None:
        super().__init__()
        self.first_norm = ClassNorm(before, num_classes)
        self.up = UpConvolution(before, after)
        self.second_norm = ClassNorm(after, num_classes)
        self.convolution = nn.Conv2d(after, after, kernel_size=3, padding=1)
        self.shortcut = nn.Identity() if before == after else nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map (n, before, h, w), with the class as one of k units (n, k), to (n, after, 2h, 2w)."""
        change = self.up(F.relu(self.first_norm(x, condition)))
        change = self.convolution(F.relu(self.second_norm(change, condition)))
        enlarged = F.interpolate(self.shortcut(x), scale_factor=2, mode="nearest")
        return torch.add(enlarged, change)


class ClassNorm(nn.Module):
    """Batch normalisation with a scale and a shift for each class.

    Args:
        channels: of the input.
        num_classes: k.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale = nn.Linear(num_classes, channels)
        self.shift = nn.Linear(num_classes, channels, bias=False)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map (n, c, h, w) to itself, with the class as one of k units (n, k)."""
        scale, shift = (each(condition)[:, :, None, None] for each in (self.scale, self.shift))
        shifted: Tensor = torch.addcmul(shift, self.norm(x), 1 + scale)
        return shifted


class ProjectedCritic(nn.Module):
    """The critic, from images and classes to values.

    Args:
        architecture: widths.
        shape: (c, h, w) of the images.
        num_classes: k.
    """

    def __init__(
        self, architecture: Architecture, shape: tuple[int, int, int], num_classes: int
    ) -> None:
        super().__init__()
        channels, height, width = shape
        downs = max(1, halvings(max(height, width), CRITIC_END))
        widths = architecture.critic_widths(downs)
        last = widths[-1]
        self.num_classes = num_classes
        self.body = nn.Sequential(
            DownBlock(channels, widths[0], down=True, activated=False),
            *(DownBlock(a, b, down=True) for a, b in itertools.pairwise(widths[:-1])),
            DownBlock(widths[-2], last, down=False),
            *(DownBlock(last, last, down=False) for _ in range(LEVEL_BLOCKS - 1)),
        )
        self.end = SpectralLinear(last, 1)
        self.projection = SpectralLinear(num_classes, last, bias=False)

    def forward(self, images: Tensor, classes: Tensor) -> Tensor:
        """Return one value for each image: (n, c, h, w) in [0, 1] and (n,) int64 to (n,)."""
        x = (2 * images - 1).contiguous(memory_format=torch.channels_last)
        features = F.relu(self.body(x)).float().sum(dim=(2, 3))
        condition = F.one_hot(classes, self.num_classes).to(features.dtype)
        with torch.autocast(images.device.type, enabled=False):  # the losses are read off these
            meeting = (self.projection(condition) * features).sum(dim=1)
            values: Tensor = self.end(features).squeeze(1) + meeting
        return values


class DownBlock(nn.Module):
    """Pre-activation residual block of the critic, its layers normalised by their spectral norm.

    Args:
        before: channels of the input.
        after: channels of the output.
        down: whether the block ends with an average pooling over 2x2 pixels.
        activated: whether the block begins with an activation; not where its input are images.
    """

    def __init__(self, before: int, after: int, *, down: bool, activated: bool = True) -> None:
        super().__init__()
        self.first = SpectralConvolution(before, after)
        self.second = SpectralConvolution(after, after, down=down)
        same = before == after
        self.shortcut = nn.Identity() if same else SpectralConvolution(before, after, size=1)
        self.pool = nn.AvgPool2d(2) if down else nn.Identity()
        self.activated = activated

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, before, h, w) to (n, after, h, w), or to (n, after, h // 2, w // 2)."""
        change = self.first(F.relu(x) if self.activated else x)
        return torch.add(self.second(F.relu(change)), self.shortcut(self.pool(x)))


class SpectralConvolution(nn.Conv2d):
    """Convolution whose weights are divided by their largest singular value.

    Args:
        before: channels of the input.
        after: channels of the output.
        size: of the square kernel.
        down: whether an average pooling over 2x2 pixels follows; the kernel's size is 3 then.
    """

    direction: Tensor

    def __init__(self, before: int, after: int, size: int = 3, *, down: bool = False) -> None:
        super().__init__(before, after, size, padding=size // 2)
        self.down = down
        self.register_buffer("direction", torch.ones(after))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, before, h, w) to (n, after, h, w), or to (n, after, h // 2, w // 2)."""
        kernel = normalised(self.weight, self.direction, moves=self.training)
        if self.down:
            return F.conv2d(x, widened(kernel) / 4, self.bias, stride=2, padding=1)
        return F.conv2d(x, kernel, self.bias, padding=self.padding)


class SpectralLinear(nn.Linear):
    """Product with a matrix that is divided by its largest singular value."""

    direction: Tensor

    def __init__(self, before: int, after: int, *, bias: bool = True) -> None:
        super().__init__(before, after, bias)
        self.register_buffer("direction", torch.ones(after))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, before) to (n, after)."""
        return F.linear(x, normalised(self.weight, self.direction, moves=self.training), self.bias)


def normalised(weight: Tensor, direction: Tensor, *, moves: bool) -> Tensor:
    """Divide weights by their largest singular value, estimated by a step of power iteration.

    Args:
        weight: (d, ...), taken as a matrix of d rows.
        direction: (d,), the estimated left singular vector.
        moves: whether ``direction`` becomes what the step finds.

    Returns:
        Weights like ``weight``, float32.
    """
    with torch.autocast(weight.device.type, enabled=False):
        matrix = weight.flatten(1)
        with torch.no_grad():
            right = F.normalize(matrix.T @ direction, dim=0)
            left = F.normalize(matrix @ right, dim=0)
            if moves:
                direction.copy_(left)
        return weight / torch.dot(left, matrix @ right)
