"""Features of each class, virtual outliers drawn from them, and how their energies are told."""

from __future__ import annotations

import torch
from scipy.stats import chi2
from torch import Tensor, nn
from torch.nn import functional

RIDGE = 1e-4
"""Added to the diagonal of the covariance."""


class Outliers(nn.Module):
    """The features that VOS keeps, and what it learns besides the network.

    Args:
        num_classes: k.
        features: d.
        kept: features kept of each class.
    """

    queue: Tensor
    count: Tensor

    def __init__(self, num_classes: int, features: int, kept: int) -> None:
        super().__init__()
        self.register_buffer("queue", torch.zeros(num_classes, kept, features))
        self.register_buffer("count", torch.zeros(num_classes, dtype=torch.int64))
        self.weight = nn.Parameter(torch.rand(num_classes))
        self.regression = nn.Linear(1, 2)

    def keep(self, features: Tensor, labels: Tensor) -> None:
        """Keep features (n, d) of images with labels (n,) in place of the oldest of their class."""
        kept = self.queue.shape[1]
        for label in labels.unique().tolist():
            new = features[labels == label][-kept:]
            places = (self.count[label] + torch.arange(len(new), device=new.device)) % kept
            self.queue[label, places] = new
            self.count[label] += len(new)

    def draw(self, candidates: int, generator: torch.Generator) -> Tensor:
        """Return the least likely of some draws from each class that has features: (m, d).

        The likelihood of m_c + L e, where S = L L' and e is standard normal, falls with |e| alone.
        The direction of e is uniform, and the largest of n squared norms has the quantile function
        of the chi-squared distribution at u^(1/n), for u uniform: n draws cost as much as one.

        Args:
            candidates: n.
            generator: a CPU generator to draw from.
        """
        means, factor = self.normal()
        classes, dimensions = means.shape
        uniform = torch.rand(classes, generator=generator, dtype=torch.float64)
        squared = torch.from_numpy(chi2.ppf((uniform ** (1 / candidates)).numpy(), dimensions))
        directions = functional.normalize(torch.randn(classes, dimensions, generator=generator))
        deviates = (squared.sqrt()[:, None] * directions).to(means)
        return (means + deviates @ factor.T).float()

    def normal(self) -> tuple[Tensor, Tensor]:
        """Return the means of classes that have features, (m, d), and L of S = L L': (d, d).

        Both are float64, in which S has a factor although there may be few features.
        """
        kept, dimensions = self.queue.shape[1:]
        filled = torch.arange(kept, device=self.count.device) < self.count[:, None]
        weights = filled[:, :, None].to(self.queue)
        means = (self.queue * weights).sum(1) / weights.sum(1).clamp(min=1)
        centred = ((self.queue - means[:, None]) * weights).flatten(0, 1)
        covariance = (centred.T @ centred).double() / weights.sum()
        ridge = RIDGE * torch.eye(dimensions, device=covariance.device)
        return means[self.count > 0].double(), torch.linalg.cholesky(covariance + ridge)

    def forward(self, inside: Tensor, outside: Tensor) -> Tensor:
        """Return the cross-entropy of telling logits of ID images, (n, k), from those of outliers.

        Args:
            inside: logits of ID images.
            outside: logits of outliers, (m, k).
        """
        logits = torch.cat([inside, outside])
        # of all weights at most 0, the logarithm of 0 is avoided
        energies = (logits + self.weight.clamp(min=1e-12).log()).logsumexp(dim=1)
        known = torch.zeros(len(logits), dtype=torch.int64, device=logits.device)
        known[: len(inside)] = 1
        return functional.cross_entropy(self.regression(energies[:, None]), known)
