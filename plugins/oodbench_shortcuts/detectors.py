"""One statistic of the pixels, and how unusual it is for a training image.

These detectors are to compare with, not to use: an OOD set that one of them separates says little
about any other detector, which may have learned no more than this (section 4.5 of Králik et al.,
GANAD, 2024, suspects as much of single-pixel differences).
"""

from __future__ import annotations

import zlib
from abc import abstractmethod
from typing import TYPE_CHECKING, Self

from oodbench.contracts import SHORTCUT, Batch, Context, Detector, Info, Need, Stream

if TYPE_CHECKING:
    from torch import Tensor


class Shortcut(Detector):
    """Score by how far a statistic of an image is from its median over the training images.

    s(x) = |t(x) - median| / spread, at least 0, where t is the statistic, and the spread is the
    range between its quartiles; where that is 0, as for a border that is nearly always black, the
    standard deviation, and where that is 0 as well, 1.

    Attributes:
        median_: of the statistic over the training images.
        spread_: of the statistic over the training images; greater than 0.
    """

    family = SHORTCUT
    needs = frozenset({Need.INPUTS})

    @abstractmethod
    def statistic(self, images: Tensor) -> Tensor:
        """Return the statistic of images (n, c, h, w) float32 in [0, 1]: (n,) float64."""

    def fit(self, train: Stream, context: Context) -> Self:
        """Learn median and spread of the statistic."""
        import numpy as np
        import torch

        values = torch.cat([self.statistic(batch.inputs).cpu() for batch in train]).numpy()
        lower, median, upper = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
        self.median_ = median
        self.spread_ = upper - lower or float(values.std()) or 1.0
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return how unusual the statistic is: (n,) float64."""
        distance: Tensor = (self.statistic(batch.inputs) - self.median_).abs()
        return distance / self.spread_


class Brightness(Shortcut):
    """Score by an unusual mean of the pixels."""

    info = Info(
        name="brightness",
        title="Brightness",
        summary="Trivial: unusual mean of the pixels",
    )

    def statistic(self, images: Tensor) -> Tensor:
        """Return the mean of all pixels: (n,) float64 in [0, 1]."""
        return images.double().mean(dim=(1, 2, 3))


class Contrast(Shortcut):
    """Score by an unusual standard deviation of the pixels."""

    info = Info(
        name="contrast",
        title="Contrast",
        summary="Trivial: unusual standard deviation of the pixels",
    )

    def statistic(self, images: Tensor) -> Tensor:
        """Return the standard deviation of all pixels: (n,) float64 in [0, 0.5]."""
        return images.double().std(dim=(1, 2, 3), correction=0)


class Border(Shortcut):
    """Score by an unusual mean of the outermost pixels."""

    info = Info(
        name="border",
        title="Border value",
        summary="Trivial: unusual mean of the outermost pixels",
    )

    def statistic(self, images: Tensor) -> Tensor:
        """Return the mean of the pixels in the first and last rows and columns: (n,) float64."""
        import torch

        rows = images[:, :, (0, -1), :].flatten(1)
        columns = images[:, :, 1:-1, (0, -1)].flatten(1)
        return torch.cat([rows, columns], dim=1).double().mean(dim=1)


class Edges(Shortcut):
    """Score by an unusual mean difference between neighbouring pixels."""

    info = Info(
        name="edges",
        title="Edge density",
        summary="Trivial: unusual mean difference between neighbouring pixels",
    )

    def statistic(self, images: Tensor) -> Tensor:
        """Return the mean size of differences down plus that across: (n,) float64 in [0, 2]."""
        images = images.double()
        down = images.diff(dim=2).abs().mean(dim=(1, 2, 3))
        return down + images.diff(dim=3).abs().mean(dim=(1, 2, 3))


class CompressedSize(Shortcut):
    """Score by an unusual size of the compressed image.

    The pixels, as bytes, row by row, go through zlib at its default level: about what PNG does.
    """

    info = Info(
        name="compressed-size",
        title="Compressed size",
        summary="Trivial: unusual size of the image compressed by zlib",
    )

    def statistic(self, images: Tensor) -> Tensor:
        """Return the number of bytes: (n,) float64, greater than 0."""
        import torch

        pixels = (images * 255).round().byte().cpu().numpy()
        sizes = [len(zlib.compress(image.tobytes())) for image in pixels]
        return torch.tensor(sizes, dtype=torch.float64, device=images.device)
