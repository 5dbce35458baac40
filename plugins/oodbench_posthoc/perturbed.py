"""Gradients in images, for detectors that take a step in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def gradients_in(images: Tensor, figure: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the gradient of a figure of each image in the image itself: (n, c, h, w).

    Args:
        images: (n, c, h, w).
        figure: maps images to one number each, (n,).
    """
    import torch

    with torch.enable_grad():
        images = images.detach().clone().requires_grad_()
        (gradients,) = torch.autograd.grad(figure(images).sum(), images)
    return gradients
