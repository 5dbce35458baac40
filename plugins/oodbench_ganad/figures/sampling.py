"""Images of a run's generator for growing seeds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from oodbench.contracts import RunView
from oodbench_ganad import seeds
from oodbench_ganad.gan import Wgan
from oodbench_ganad.recipes import recipe_for

PART = "wgan"
"""What GANAD's detectors call the generator and critic that they share."""

LARGEST_NORM = 15
"""Norm above which images are "so far anomalies that they are not needed" (section 2)."""

BATCH_SIZE = 500


def norms_up_to_largest(step: float) -> Tensor:
    """Return the norms 0, ``step``, ... up to `LARGEST_NORM`: (m,) float32."""
    return torch.arange(0, LARGEST_NORM + step / 2, step)


@dataclass(frozen=True)
class Sampler:
    """The generator of a run.

    Attributes:
        wgan: fitted.
        shape: (c, h, w) of its images.
        num_classes: number of its classes.
    """

    wgan: Wgan
    shape: tuple[int, int, int]
    num_classes: int

    @classmethod
    def of(cls, run: RunView) -> Sampler:
        """Return the generator of a run.

        Raises:
            FigureUnavailable: if it has none, or none that is still in the store.
        """
        wgan = run.part(PART)
        assert isinstance(wgan, Wgan)
        return cls(wgan, run.shape, run.num_classes)

    @property
    def seed_length(self) -> int:
        """N, the length of a seed."""
        return recipe_for(self.wgan.recipe, self.shape).architecture.seed_length

    def directions(self, count: int) -> Tensor:
        """Return seeds in random directions, always the same: (count, N) float32."""
        return torch.randn(count, self.seed_length, generator=torch.Generator().manual_seed(0))

    def grown(self, directions: Tensor, norms: Tensor, label: int) -> Tensor:
        """Make images of one class while each of several seeds grows.

        Args:
            directions: (d, N).
            norms: (m,).
            label: the class.

        Returns:
            (d, m, c, h, w) float32 in [0, 1].
        """
        count, steps = len(directions), len(norms)
        sizes = norms.repeat(count)
        images = self.images(
            seeds.rescale(directions.repeat_interleave(steps, dim=0), sizes),
            torch.full((count * steps,), label),
        )
        paths: Tensor = images.unflatten(0, (count, steps))
        return paths

    def images(self, seeds_: Tensor, classes: Tensor) -> Tensor:
        """Make images: seeds (n, N) and classes (n,) to (n, c, h, w) float32 in [0, 1]."""
        batches = zip(seeds_.split(BATCH_SIZE), classes.split(BATCH_SIZE), strict=True)
        with torch.inference_mode():
            made = [self.wgan.generator_(*batch).float().cpu() for batch in batches]
        return torch.cat(made)
