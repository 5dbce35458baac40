"""The distribution of the Chebyshev norm of seeds (Figure 1)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from oodbench.contracts import COLUMN_WIDTH, Figure, Info, RunView
from oodbench_ganad.detector import PAPER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture
    from torch import Tensor

LENGTHS = (64, 128)
SAMPLES = 100_000
NORMS = (0.5, 5.5)
"""Smallest and largest norm shown."""

BINS = 100


class NormDistribution(Figure):
    """The density of the norm of standard normal seeds, beside that of samples.

    Equation (1) as printed is the density of the largest coordinate; the norm, the largest
    absolute value, has that of `oodbench_ganad.seeds.norm_density`.
    """

    info = Info(
        name="seed-norms",
        title="Norms of seeds",
        summary="Chebyshev norm of normal seeds: samples, equation (1) as printed and corrected.",
        paper=PAPER,
        deviations=("Equation (1) is drawn as printed and corrected; the paper shows the former.",),
    )
    numbers = (1,)
    needs = "nothing of the run"

    def draw(self, run: RunView) -> dict[str, Picture]:
        """Return one picture with a panel for each length of seeds in the paper."""
        from matplotlib.figure import Figure as Picture

        picture = Picture(figsize=(COLUMN_WIDTH, 2.0), layout="constrained")
        panels = picture.subplots(1, len(LENGTHS), sharey=True)
        for letter, panel, length in zip("ab", panels, LENGTHS, strict=True):
            _draw_length(panel, length)
            panel.set_title(f"({letter}) $N = {length}$", loc="left")
        panels[0].set_ylabel("density")
        picture.supxlabel("Chebyshev norm of the seed", fontsize=7)
        picture.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
        return {"": picture}


def _draw_length(axes: Axes, length: int) -> None:
    import torch

    from oodbench_ganad import seeds

    draws = torch.Generator().manual_seed(0)
    samples = seeds.chebyshev_norm(torch.randn(SAMPLES, length, generator=draws))
    norms = torch.linspace(*NORMS, 400)
    axes.hist(samples.numpy(), BINS, range=NORMS, density=True, color="0.8", label="samples")
    axes.plot(norms, printed_density(norms, length), "--", color="C2", label="(1) as printed")
    axes.plot(norms, seeds.norm_density(norms, length), "-", color="C0", label="corrected")
    axes.set(xlim=NORMS, ylim=(0, 1.2), xticks=range(1, 6))


def printed_density(norm: Tensor, length: int) -> Tensor:
    """Return equation (1) as printed, the density of the largest of N standard normal numbers.

    Args:
        norm: of any shape.
        length: N.
    """
    import torch

    below = 0.5 + 0.5 * torch.erf(norm / math.sqrt(2))
    normal = torch.exp(-(norm**2) / 2) / math.sqrt(2 * math.pi)
    return length * normal * below ** (length - 1)
