"""The sphere on which CIDER trains features, and its losses."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Sphere(nn.Module):
    """A projection of features to a sphere, and a prototype of each class on it.

    Args:
        features: d.
        dimensions: p, of the sphere's space.
        num_classes: k.
    """

    prototypes: Tensor

    def __init__(self, features: int, dimensions: int, num_classes: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(features, features)
        self.output = nn.Linear(features, dimensions)
        points = functional.normalize(torch.randn(num_classes, dimensions))
        self.register_buffer("prototypes", points)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (n, d) to points (n, p) of norm 1."""
        return functional.normalize(self.output(functional.relu(self.hidden(features))))

    def move(self, points: Tensor, labels: Tensor, momentum: float) -> Tensor:
        """Move the prototypes, and return them with gradients in the points that moved them."""
        moved = moved_by(self.prototypes, points, labels, momentum)
        self.prototypes.copy_(moved.detach())
        return moved


def moved_by(prototypes: Tensor, points: Tensor, labels: Tensor, momentum: float) -> Tensor:
    """Return prototypes (k, p) after each of some points moved that of its class, one by one.

    Args:
        prototypes: of norm 1.
        points: (n, p), of norm 1.
        labels: (n,) classes of the points.
        momentum: share of a prototype that stays at each move.
    """
    # the first points of all classes move theirs at once, then the second ones, and so on
    earlier = functional.one_hot(labels, len(prototypes)).cumsum(0)
    turns = earlier.gather(1, labels[:, None]).squeeze(1)
    for turn in range(1, int(turns.max()) + 1):
        chosen = turns == turn
        classes = labels[chosen]
        mixed = momentum * prototypes[classes] + (1 - momentum) * points[chosen]
        prototypes = prototypes.index_copy(0, classes, functional.normalize(mixed))
    return prototypes


def compactness(points: Tensor, prototypes: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return the cross-entropy of the classes, told by the prototypes that are near: a scalar."""
    return functional.cross_entropy(points @ prototypes.T / temperature, labels)


def dispersion(prototypes: Tensor, temperature: float) -> Tensor:
    """Return the mean over prototypes of log mean exp of their products with others: a scalar."""
    products = prototypes @ prototypes.T / temperature
    own = torch.eye(len(products), dtype=torch.bool, device=products.device)
    others = products.masked_fill(own, -torch.inf).logsumexp(dim=1)
    return (others - torch.tensor(len(products) - 1.0).log()).mean()
