"""The generator and the critic, for any image shape and number of classes.

Tables 1 and 2 of the paper are `MNIST` and `CIFAR10` of `oodbench_ganad.recipes`. What the tables
leave open is decided as in Gulrajani et al. (WGAN-GP, NeurIPS 2017), which the paper follows:

* "Residual block [3x3] x n" is a block with n convolutions.
* Blocks are pre-activated. The generator normalises and activates once more before its last
  convolution, and the critic activates before its global pooling.

Other image sizes follow the tables' pattern: the longer side is halved until it is at most 7 where
the generator starts, and at most 4 where the critic ends. That is 7x7 and 3x3 for 28x28 images,
4x4 and 4x4 for 32x32 images. The generator starts with halves rounded up and crops its images,
the critic's poolings round down.
"""

from __future__ import annotations

import itertools
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oodbench.contracts import Batch
from oodbench_ganad.layers import (
    Convolution,
    CriticBlock,
    GeneratorBlock,
    LeakyReLU,
    UpConvolution,
    halvings,
)
from oodbench_ganad.projected import ProjectedCritic, ProjectedGenerator
from oodbench_ganad.recipes import Architecture

GENERATOR_START = 7
"""Longest side of the generator's first feature maps."""

CRITIC_END = 4
"""Longest side of the critic's last feature maps."""

Network = TypeVar("Network", bound=nn.Module)


def make_generator(
    architecture: Architecture, shape: tuple[int, int, int], num_classes: int
) -> nn.Module:
    """Return a new generator, from seeds (n, N) and classes (n,) to images."""
    kind = ProjectedGenerator if architecture.blocks == "projected" else Generator
    return kind(architecture, shape, num_classes)


def make_critic(
    architecture: Architecture, shape: tuple[int, int, int], num_classes: int
) -> nn.Module:
    """Return a new critic or AD, from images and classes (n,) to values (n,)."""
    kind = ProjectedCritic if architecture.blocks == "projected" else Critic
    return kind(architecture, shape, num_classes)


class Generator(nn.Module):
    """The generator, from seeds and classes to images: G(n, y) of equation (6).

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
        residual = architecture.blocks == "residual"
        make_body = _residual_generator if residual else _plain_generator
        self.body = make_body(channels, widths)

    def forward(self, seeds: Tensor, classes: Tensor) -> Tensor:
        """Return images: seeds (n, N) float and classes (n,) int64 to (n, c, h, w) in [0, 1]."""
        condition = F.one_hot(classes, self.num_classes).to(seeds.dtype)
        start = self.start(torch.cat([seeds, condition], dim=1))
        start = start.contiguous(memory_format=torch.channels_last)
        images = torch.sigmoid(self.body(start).float())
        _, height, width = self.shape
        return images[:, :, :height, :width]


class Critic(nn.Module):
    """The critic, from images and classes to values: D(x, y) of equations (5), (8), (9) and (11).

    The paper calls it the discriminator; AD has the same architecture.

    Args:
        architecture: widths and depth.
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
        self.num_classes = num_classes
        self.class_map = nn.Sequential(
            nn.Linear(num_classes, height * width), nn.Unflatten(1, (1, height, width))
        )
        if architecture.blocks == "residual":
            self.body = _residual_critic(channels + 1, widths, architecture.last_convolutions)
            features = widths[-1]
        else:
            self.body = _plain_critic(channels + 1, widths)
            features = widths[-1] * (height >> downs) * (width >> downs)
        self.end = nn.Linear(features, 1)

    def forward(self, images: Tensor, classes: Tensor) -> Tensor:
        """Return one value for each image: (n, c, h, w) in [0, 1] and (n,) int64 to (n,)."""
        condition = F.one_hot(classes, self.num_classes).to(images.dtype)
        x = torch.cat([images, self.class_map(condition).to(images.dtype)], dim=1)
        x = x.contiguous(memory_format=torch.channels_last)
        values: Tensor = self.end(self.body(x)).squeeze(1)
        return values


def judge(critic: nn.Module, batch: Batch) -> Tensor:
    """Return D(x, C(x)) of equation (11), computed in float32, C(x) being the predicted class.

    Args:
        critic: D, from images and classes to (n,).
        batch: inputs and logits.
    """
    device = next(critic.parameters()).device
    with torch.inference_mode():
        values: Tensor = critic(batch.inputs.to(device), batch.logits.to(device).argmax(dim=1))
    return values


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights of convolutions and matrices from N(0, 0.02^2) and set biases to 0.

    Args:
        network: changed in place.
        generator: a CPU generator to draw from, so that the weights are the same on all devices.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            drawn = torch.empty(module.weight.shape).normal_(std=0.02, generator=generator)
            with torch.no_grad():
                module.weight.copy_(drawn)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def settle(network: nn.Module) -> None:
    """Take evaluation mode, with values that 16 bits hold exactly.

    Weights can ship at half the size then, and what was trained on them still fits.
    """
    network.eval()
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.copy_(value.half())


def place(network: Network, device: torch.device) -> Network:
    """Move a network to a device, its convolutions in the memory format that is fastest."""
    return network.to(device).to(memory_format=torch.channels_last)


def _residual_generator(channels: int, widths: list[int]) -> nn.Sequential:
    """Stack a block for each doubling and a convolution to ``channels`` channels."""
    width = widths[0]
    return nn.Sequential(
        *(GeneratorBlock(width) for _ in widths[1:]),
        nn.BatchNorm2d(width),
        LeakyReLU(),
        nn.Conv2d(width, channels, kernel_size=3, padding=1),
    )


def _plain_generator(channels: int, widths: list[int]) -> nn.Sequential:
    """Stack an upsampled convolution for each doubling and one to ``channels`` channels."""
    layers: list[nn.Module] = [nn.BatchNorm2d(widths[0]), LeakyReLU()]
    for before, after in itertools.pairwise(widths):
        layers += [UpConvolution(before, after), nn.BatchNorm2d(after), LeakyReLU()]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], channels, kernel_size=3, padding=1))


def _residual_critic(channels: int, widths: list[int], last_convolutions: int) -> nn.Sequential:
    """Stack a convolution, a block for each halving, a last block and the global pooling."""
    width = widths[0]
    downs = len(widths) - 1
    layers: list[nn.Module] = [Convolution(channels, width)]
    for level in range(downs + 1):
        convolutions = last_convolutions if level >= downs - 1 else 1
        layers.append(CriticBlock(width, convolutions=convolutions, down=level < downs))
    return nn.Sequential(*layers, LeakyReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _plain_critic(channels: int, widths: list[int]) -> nn.Sequential:
    """Stack a convolution with stride 2 for each halving, and flatten."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise([channels, *widths[1:]]):
        layers += [Convolution(before, after, size=4, stride=2), LeakyReLU()]
    return nn.Sequential(*layers, nn.Flatten())
