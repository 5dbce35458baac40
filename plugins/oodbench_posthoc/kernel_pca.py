"""CoRP: the error of reconstructing random Fourier features from their principal components."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Self

from oodbench.contracts import Batch, Context, Info, Paper, Stream
from oodbench_posthoc.checks import check_count, check_positive
from oodbench_posthoc.cop import CosinePrincipalComponents

if TYPE_CHECKING:
    from torch import Tensor

LARGEST = 4096
"""Random features that are drawn at most, unless asked for."""


class KernelPrincipalComponents(CosinePrincipalComponents):
    """Score as CoP does, by features of a Gaussian kernel of the direction (CoRP).

    s(x) = |(I - U U')(r(z / |z|) - m)|, r(v) = sqrt(2 / M) cos(W v + u), with W drawn from a normal
    distribution of variance 2 g, and u from [0, 2 pi): products of r are about those of the kernel
    exp(-g |v - v'|^2). m is the mean of r over the training images, and U their principal
    components: as few as explain a share of the variance (PCA with the
    paper's cosine-Gaussian kernel).

    Args:
        explained: that share, in (0, 1); the authors take 0.8 for CIFAR-10, which is the default,
            and 0.5 for ImageNet.
        gamma: g > 0; the authors take 2 for CIFAR-10, which is the default, and 3 for ImageNet.
        random_features: M; None: four times as many as there are features, and at most 4,096, as
            the authors have it for both.

    Raises:
        InvalidParameter: if the share is outside of (0, 1), gamma not a number greater than 0, or
            there is less than 1 random feature.
    """

    stochastic = True
    info = Info(
        name="kernel-pca",
        title="CoRP",
        summary="Large error of reconstructing random Fourier features from principal components",
        paper=Paper(
            title="Kernel PCA for Out-of-Distribution Detection",
            authors="Fang et al.",
            venue="NeurIPS",
            year=2024,
            url="https://arxiv.org/abs/2402.02949",
        ),
    )
    space: ClassVar = {
        "explained": (0.5, 0.7, 0.8, 0.9, 0.95),
        "gamma": (0.5, 1.0, 2.0, 3.0, 5.0),
    }

    def __init__(
        self, *, explained: float = 0.8, gamma: float = 2.0, random_features: int | None = None
    ) -> None:
        super().__init__(explained=explained)
        check_positive("gamma", gamma)
        if random_features is not None:
            check_count("random_features", random_features)
        self.gamma = gamma
        self.random_features = random_features

    def fit(self, train: Stream, context: Context) -> Self:
        """Draw the random features, and learn their mean and principal components."""
        import torch

        width = next(iter(train)).features.shape[1]
        count = self.random_features or min(4 * width, LARGEST)
        generator = context.generator()
        drawn = torch.randn(width, count, generator=generator, dtype=torch.float64)
        shifts = torch.rand(count, generator=generator, dtype=torch.float64)
        self.frequencies_ = math.sqrt(2 * self.gamma) * drawn.to(context.device)
        self.shifts_ = 2 * math.pi * shifts.to(context.device)
        return super().fit(train, context)

    def read(self, batch: Batch) -> Tensor:
        """Return the random Fourier features of the direction: (n, M) float64."""
        angles = super().read(batch) @ self.frequencies_ + self.shifts_
        return math.sqrt(2 / len(self.shifts_)) * angles.cos()
