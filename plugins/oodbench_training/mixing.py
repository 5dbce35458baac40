"""How PixMix changes and mixes images: batches (n, c, h, w) float32 in [0, 1], on any device.

Random numbers come from a CPU generator, for each image on its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2 import functional as operations

OPERATIONS = 13
LEAST = 1e-37
"""Base of the least power: a negative power of 0 is infinite."""


def mixed(
    images: Tensor,
    pictures: Tensor,
    rounds: int,
    severity: float,
    strength: float,
    generator: torch.Generator,
) -> Tensor:
    """Return images, each mixed up to ``rounds`` times with changed copies or with its picture."""

    def drawn(*shape: int) -> Tensor:
        return torch.rand(*shape, len(images), generator=generator).to(images.device)

    def often(chance: float | Tensor) -> Tensor:
        return (drawn() < chance)[:, None, None, None]

    result = torch.where(often(0.5), changed(images, severity, drawn), images)
    turns = torch.floor(drawn() * (rounds + 1))
    for turn in range(rounds):
        copies = changed(images, severity, drawn)
        other = torch.where(often(0.5), copies, pictures)
        own, others = weights(strength, drawn(3))
        mixture = torch.where(
            often(0.5), added(result, other, own, others), multiplied(result, other, own, others)
        )
        result = torch.where((turn < turns)[:, None, None, None], mixture.clamp(0, 1), result)
    return result


def weights(strength: float, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weights of images and of what is mixed in: (n, 1, 1, 1) each.

    Half of the time Beta(strength, 1) and Beta(1, strength), else 1 + Beta(1, strength) and
    -Beta(1, strength).

    Args:
        strength: beta.
        uniform: (3, n) numbers, uniform in [0, 1).
    """
    toward = uniform[0] < 0.5
    # Beta(b, 1) has the quantile function u^(1/b), and 1 minus it is Beta(1, b)
    large, small = uniform[1] ** (1 / strength), 1 - uniform[2] ** (1 / strength)
    own = torch.where(toward, large, 2 - large)
    others = torch.where(toward, small, -small)
    return own[:, None, None, None], others[:, None, None, None]


def added(images: Tensor, other: Tensor, own: Tensor, others: Tensor) -> Tensor:
    """Return the weighted sum of images, of which grey is 0."""
    return (own * (2 * images - 1) + others * (2 * other - 1) + 1) / 2


def multiplied(images: Tensor, other: Tensor, own: Tensor, others: Tensor) -> Tensor:
    """Return the product of powers of images, of which grey is 1."""
    return (2 * images) ** own * (2 * other).clamp(min=LEAST) ** others / 2


def changed(images: Tensor, severity: float, drawn: Callable[..., Tensor]) -> Tensor:
    """Return images, each changed by one of the operations, drawn with its level.

    Args:
        images: the images.
        severity: largest level of an operation.
        drawn: returns numbers for all images, uniform in [0, 1).
    """
    levels = (0.1 + drawn() * (severity - 0.1)) / 10
    signs = torch.where(drawn() < 0.5, -1.0, 1.0)
    which = torch.floor(drawn() * OPERATIONS).long()
    every = [moved(images, which, levels * signs), *_of_values(images, levels)]
    # the first five are movements, which differ by their matrices alone
    places = (which - 4).clamp(min=0)
    return torch.stack(every)[places, torch.arange(len(images), device=images.device)]


def moved(images: Tensor, which: Tensor, levels: Tensor) -> Tensor:
    """Return moved images; black comes in.

    Args:
        images: the images.
        which: (n,) numbers of movements: a turn (0), a slope along x (1) or y (2), a shift along
            x (3) or y (4); with other numbers, images stay.
        levels: (n,) shares in [-1, 1] of 30 degrees, of a slope of 0.3, or of a third of the side.
    """
    angles = torch.where(which == 0, torch.trunc(30 * levels) * math.pi / 180, 0)
    third = 1 / 3
    across, down = (
        torch.where(which == number, torch.trunc(levels * side * third) * 2 / side, 0)
        for number, side in ((3, images.shape[3]), (4, images.shape[2]))
    )
    slopes = [torch.where(which == number, 0.3 * levels, 0) for number in (1, 2)]
    first = torch.stack([angles.cos(), slopes[0] - angles.sin(), across], dim=1)
    second = torch.stack([slopes[1] + angles.sin(), angles.cos(), down], dim=1)
    grid = functional.affine_grid(
        torch.stack([first, second], dim=1), list(images.shape), align_corners=False
    )
    return functional.grid_sample(images, grid, align_corners=False)


def _of_values(images: Tensor, levels: Tensor) -> list[Tensor]:
    """Return images changed by each operation on their values; levels (n,) are in (0, 1]."""
    levels = levels[:, None, None, None]
    whole = torch.round(255 * images)
    threshold = 256 - torch.trunc(256 * levels)
    steps = 2 ** (4 + torch.trunc(4 * levels))
    share = 1.8 * levels + 0.1
    grey = operations.rgb_to_grayscale(images) if images.shape[1] == 3 else images
    blurred = images.clone()
    blurred[:, :, 1:-1, 1:-1] = _blurred(images)
    toward = [
        grey.expand_as(images),
        grey.mean((1, 2, 3), keepdim=True).expand_as(images),
        torch.zeros_like(images),
        blurred,
    ]
    return [
        operations.autocontrast(images),
        operations.equalize(images),
        torch.floor(whole / steps) * steps / 255,
        torch.where(whole < threshold, images, 1 - images),
        *(share * images + (1 - share) * each for each in toward),
    ]


def _blurred(images: Tensor) -> Tensor:
    """Return the inner pixels, each a mean over 3x3 pixels in which it counts five times."""
    channels = images.shape[1]
    kernel = torch.ones(3, 3, device=images.device)
    kernel[1, 1] = 5
    kernel = (kernel / kernel.sum()).expand(channels, 1, 3, 3)
    return functional.conv2d(images, kernel, groups=channels)
