"""Gradients in images, for detectors that take a step in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


AT_ONCE = 32
"""Images of a pass with gradients on a CPU, which is no faster with more, but keeps the output of
every layer of each: some 80 MB in EfficientNet-Lite0 at 224x224 pixels."""


def in_parts(images: Tensor) -> tuple[Tensor, ...]:
    """Return images (n, c, h, w) in parts for passes with gradients."""
    count = AT_ONCE if images.device.type == "cpu" else len(images)
    parts: tuple[Tensor, ...] = images.split(count)
    return parts


def gradients_in(images: Tensor, figure: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the gradient of a figure of each image in the image itself: (n, c, h, w).

    Args:
        images: (n, c, h, w).
        figure: maps images, a part of these at a time, to one number each, (n,).
    """
    import torch

    gradients: list[Tensor] = []
    for part in in_parts(images):
        with torch.enable_grad():
            part = part.detach().clone().requires_grad_()
            gradients += torch.autograd.grad(figure(part).sum(), part)
    return torch.cat(gradients)
