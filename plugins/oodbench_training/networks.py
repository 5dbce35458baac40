"""The network of deep SVDD."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SLOPE = 0.01
"""Slope of LeakyReLU below zero."""


class Encoder(nn.Module):
    """Three 5x5 convolutions, each normalised, activated and pooled, and a linear layer.

    No layer has a bias, nor the normalisation a scale or offset, since with these a constant
    output at the centre would be learned (propositions 2 and 4 of the paper).

    Args:
        shape: (c, h, w) of the images.
        width: filters of the first convolution, doubled by each of the others.
        dimensions: of the output.
    """

    def __init__(self, shape: tuple[int, int, int], width: int, dimensions: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = shape[0]
        for filters in (width, 2 * width, 4 * width):
            layers += [
                nn.Conv2d(before, filters, 5, padding=2, bias=False),
                nn.BatchNorm2d(filters, affine=False),
                nn.LeakyReLU(SLOPE),
                nn.MaxPool2d(2, ceil_mode=True),
            ]
            before = filters
        self.layers = nn.Sequential(*layers, nn.Flatten())
        with torch.no_grad():
            features = self.layers.eval()(torch.zeros(1, *shape)).shape[1]
        self.output = nn.Linear(features, dimensions, bias=False)
        self.train()

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, c, h, w) in [0, 1] to points (n, dimensions)."""
        points: Tensor = self.output(self.layers((x - 0.5) * 2))
        return points


def count_features(module: nn.Module, shape: tuple[int, int, int]) -> int:
    """Return how many features the network of a classifier has.

    Args:
        module: as `Classifier.build` returns it, on the CPU; it is put into training mode.
        shape: (c, h, w) of the images.
    """
    with torch.no_grad():
        features: Tensor = module.eval().features(torch.zeros(1, *shape))  # type: ignore[operator]
    module.train()
    return features.shape[1]
