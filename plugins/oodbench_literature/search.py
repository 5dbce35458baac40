"""Searches for the latent vector, or the image, that makes a loss small: many at once.

The gradient of an image's loss does not depend on the other images, and Adam treats each number on
its own, so that a batch is searched as its images would be one by one, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

PointLosses = Callable[[Tensor], Tensor]
"""From points (n, ...) to their losses (n,)."""


def adam_search(
    objective: PointLosses,
    start: Tensor,
    steps: int,
    rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
) -> tuple[Tensor, Tensor]:
    """Return the best points that Adam passes and their losses, never above those at the start.

    The learning rate falls linearly to a tenth.

    Args:
        objective: from points to losses.
        start: points (n, ...).
        steps: of Adam.
        rate: its first learning rate.
        betas: of Adam.

    Returns:
        Points as ``start``, and losses (n,), without gradients.
    """
    point = start.detach().clone().requires_grad_()
    adam = torch.optim.Adam([point], lr=rate, betas=betas)
    best, least = start.detach().clone(), start.new_full((len(start),), torch.inf)
    for step in range(steps + 1):
        losses, gradient = differentiate(objective, point)
        better = losses < least
        least = torch.where(better, losses, least)
        best = torch.where(_spread(better, best), point.detach(), best)
        if step < steps:
            point.grad = gradient
            adam.param_groups[0]["lr"] = rate * (1 - 0.9 * step / steps)
            adam.step()
    return best, least


def careful_descent(
    look: Callable[[Tensor], tuple[Tensor, Tensor]], start: Tensor, steps: int, rate: float
) -> tuple[Tensor, Tensor]:
    """Return images after steps, each of which is taken back where it raises the loss.

    There, the next step is half as long.

    Args:
        look: from images to their losses (n,) and the directions to step against.
        start: images (n, c, h, w) in [0, 1].
        steps: how many are tried.
        rate: length of the first step, by that of its direction.

    Returns:
        Images as ``start``, and their losses (n,), without gradients.
    """
    image = start
    loss, direction = look(image)
    length = torch.full_like(loss, rate)
    for _ in range(steps):
        tried = (image - _spread(length, image) * direction).clamp(0, 1)
        tried_loss, tried_direction = look(tried)
        lower = tried_loss <= loss
        length = torch.where(lower, length, length / 2)
        loss = torch.where(lower, tried_loss, loss)
        image = torch.where(_spread(lower, image), tried, image)
        direction = torch.where(_spread(lower, image), tried_direction, direction)
    return image, loss


def differentiate(objective: PointLosses, point: Tensor) -> tuple[Tensor, Tensor]:
    """Return the losses at points and their gradients."""
    with torch.enable_grad():
        point = point.detach().requires_grad_()
        losses = objective(point)
        (gradient,) = torch.autograd.grad(losses.sum(), point)
    return losses.detach(), gradient


def _spread(values: Tensor, like: Tensor) -> Tensor:
    """Return values (n,) as (n, 1, ...), with as many dimensions as another tensor."""
    return values.reshape(-1, *(1 for _ in like.shape[1:]))
