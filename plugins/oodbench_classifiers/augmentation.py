"""Random changes of training images."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def shifted(
    images: Tensor, pixels: int, generator: torch.Generator, padding: str = "constant"
) -> Tensor:
    """Move each image by a random whole number of pixels, up to ``pixels`` each way.

    Args:
        images: (n, c, h, w).
        pixels: largest shift.
        generator: a CPU generator.
        padding: what comes in: ``constant``, zeros, or ``reflect``, the image mirrored.
    """
    if pixels == 0:
        return images
    count, _, height, width = images.shape
    padded = functional.pad(images, (pixels, pixels, pixels, pixels), mode=padding)
    corners = torch.randint(0, 2 * pixels + 1, (2, count), generator=generator).to(images.device)
    rows = corners[0, :, None] + torch.arange(height, device=images.device)
    columns = corners[1, :, None] + torch.arange(width, device=images.device)
    places = torch.arange(count, device=images.device)[:, None, None]
    # (n, h, w, c), since the sliced dimension comes last where indices stand around it
    return padded[places, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def mirrored(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror about half of the images (n, c, h, w), drawn by a CPU generator, left to right."""
    chosen = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(chosen.to(images.device)[:, None, None, None], images.flip(3), images)


def cut_out(images: Tensor, pixels: int, generator: torch.Generator) -> Tensor:
    """Turn a square of each image grey (DeVries and Taylor, arXiv:1708.04552).

    Args:
        images: (n, c, h, w) in [0, 1].
        pixels: side of the squares; those around a pixel near the edge are partly outside.
        generator: a CPU generator.
    """
    if pixels == 0:
        return images
    count, _, height, width = images.shape
    rows, columns = (
        torch.arange(side) - torch.randint(0, side, (count, 1), generator=generator)
        for side in (height, width)
    )
    inside = [(2 * away >= -pixels) & (2 * away < pixels) for away in (rows, columns)]
    squares = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return images.masked_fill(squares.to(images.device), 0.5)
