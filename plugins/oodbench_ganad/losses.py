"""The losses of the conditional WGAN-GP, equations (2) to (10) of the paper, and the hinge loss.

The class that conditions the critic is written y, the class that conditions the generator y~.
The paper does not say how they meet in a critic step; here the fakes of a step are made for the
classes of its real images, y~ = y, so that real image, fake and the point between them at which the
gradient is taken share the class that the critic is told.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CriticLoss(NamedTuple):
    """What a critic step computes: scalars.

    Attributes:
        loss: D_LOSS = F - R + lambda GP, equation (7), or the hinge loss.
        distance: R - F, with equation (7) the estimate of the Wasserstein distance.
        penalty: GP; 0 with the hinge loss.
    """

    loss: Tensor
    distance: Tensor
    penalty: Tensor


class GeneratorLoss(NamedTuple):
    """What a generator step computes: scalars.

    Attributes:
        loss: G_LOSS = alpha L_ADV + (1 - alpha) L_C, equation (2).
        adversarial: L_ADV, equation (3).
        accuracy: share of the classified fakes that the classifier gives the class they were made
            for.
    """

    loss: Tensor
    adversarial: Tensor
    accuracy: Tensor


def critic_loss(
    critic: nn.Module,
    real: Tensor,
    fakes: Tensor,
    classes: Tensor,
    mixing: Tensor,
    penalty_weight: float,
) -> CriticLoss:
    """Compute equations (7) to (9).

    Args:
        critic: D, from images and classes to (n,).
        real: (n, c, h, w) float32 in [0, 1].
        fakes: images made for ``classes``, as ``real``; no gradient flows into them.
        classes: (n,) int64.
        mixing: (n,) in [0, 1], the share of the fake in the points of the penalty.
        penalty_weight: lambda.
    """
    values = critic(torch.cat([real, fakes]), classes.repeat(2)).float()
    real_value, fake_value = (part.mean() for part in values.chunk(2))
    penalty = gradient_penalty(
        critic, torch.lerp(real, fakes, mixing[:, None, None, None]), classes
    )
    distance = real_value - fake_value
    return CriticLoss(penalty_weight * penalty - distance, distance, penalty)


def hinge_loss(critic: nn.Module, real: Tensor, fakes: Tensor, classes: Tensor) -> CriticLoss:
    """Compute the mean of max(0, 1 - D(x, y)) and of max(0, 1 + D(G_F, y)) (Miyato et al. 2018).

    Args:
        critic: D, from images and classes to (n,).
        real: (n, c, h, w) float32 in [0, 1].
        fakes: images made for ``classes``, as ``real``; no gradient flows into them.
        classes: (n,) int64.
    """
    values = critic(torch.cat([real, fakes]), classes.repeat(2)).float()
    real_values, fake_values = values.chunk(2)
    loss = F.relu(1 - real_values).mean() + F.relu(1 + fake_values).mean()
    distance = real_values.detach().mean() - fake_values.detach().mean()
    return CriticLoss(loss, distance, torch.zeros_like(distance))


def gradient_penalty(critic: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """Compute the mean of (|dD(x, y)/dx| - 1)^2 with the Euclidean norm (Gulrajani et al. 2017).

    Args:
        critic: D, from images and classes to (n,).
        images: (n, c, h, w) float32, points between real images and fakes.
        classes: (n,) int64.

    Returns:
        A scalar that can be differentiated by the weights of the critic.
    """
    images = images.detach().requires_grad_()
    total = critic(images, classes).sum()
    (gradients,) = torch.autograd.grad(total, images, create_graph=True)
    norms = gradients.flatten(start_dim=1).norm(dim=1)
    return F.mse_loss(norms, torch.ones_like(norms))


def generator_loss(
    critic: nn.Module,
    classifier: nn.Module,
    fakes: Tensor,
    classes: Tensor,
    alpha: float,
    classified: int | None = None,
) -> GeneratorLoss:
    """Compute equations (2) to (5): the critic is told the class that the classifier sees.

    Args:
        critic: D, from images and classes to (n,).
        classifier: C, from images to logits (n, k).
        fakes: images made for ``classes``: (n, c, h, w) float32 in [0, 1].
        classes: y~, (n,) int64.
        alpha: weight of the adversarial loss against the classifier's cross-entropy.
        classified: number of fakes that the classifier sees, to save time; the critic is told the
            classes that the others were made for. None: all of them.
    """
    seen, own = fakes[:classified], classes[:classified]
    logits = classifier(seen).float()
    winners = torch.cat([logits.argmax(dim=1), classes[len(seen) :]])
    # No gradients are computed in weights that stay as they are.
    frozen = {name: weight.detach() for name, weight in critic.named_parameters()}
    adversarial = -torch.func.functional_call(critic, frozen, (fakes, winners)).float().mean()
    loss = alpha * adversarial + (1 - alpha) * F.cross_entropy(logits, own)
    return GeneratorLoss(loss, adversarial, (logits.argmax(dim=1) == own).float().mean())
