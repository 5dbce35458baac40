"""Images of the generator for growing seeds (Figures 2, 3 and 14)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodbench.contracts import COLUMN_WIDTH, Figure, Info, RunView
from oodbench_ganad.detector import PAPER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure as Picture
    from torch import Tensor

    from oodbench_ganad.figures.sampling import Sampler

SEEDS = 10
CLASS = 8
"""The class of Figure 3; the last one where there are fewer."""

PATHS = 5
PATH_CLASS = 1
PATH_STEP = 0.5
"""Seeds, class and growth of Figure 14."""

PER_LINE = 16
"""Images in a line, which is what is legible in a column."""


class GrowingSeeds(Figure):
    """Images by the norm of their seeds; a red line marks norm 5, where anomalies begin."""

    info = Info(
        name="growing-seeds",
        title="Images of growing seeds",
        summary="Images of the generator by the norm of the seed: every class, one class, paths.",
        paper=PAPER,
        deviations=("Figure 14 breaks its 31 images a seed into two lines, to be legible.",),
    )
    numbers = (2, 3, 14)
    needs = "a generator in the store"

    def draw(self, run: RunView) -> dict[str, Picture]:
        """Return one seed in all classes, several in one class, and paths in small steps."""
        from oodbench_ganad.figures.sampling import Sampler, norms_up_to_largest

        sampler = Sampler.of(run)
        norms = norms_up_to_largest(1)
        return {
            "classes": _draw_classes(sampler, norms),
            "seeds": _draw_seeds(sampler, norms),
            "paths": _draw_paths(sampler, norms_up_to_largest(PATH_STEP)),
        }


def _draw_classes(sampler: Sampler, norms: Tensor) -> Picture:
    import torch

    seed = sampler.directions(1)
    lines = torch.cat([sampler.grown(seed, norms, c) for c in range(sampler.num_classes)])
    labels = [str(label) for label in range(sampler.num_classes)]
    return _draw_lines(lines, labels, "class", norms)


def _draw_seeds(sampler: Sampler, norms: Tensor) -> Picture:
    label = min(CLASS, sampler.num_classes - 1)
    lines = sampler.grown(sampler.directions(SEEDS), norms, label)
    return _draw_lines(lines, [str(n + 1) for n in range(SEEDS)], f"seed, class {label}", norms)


def _draw_paths(sampler: Sampler, norms: Tensor) -> Picture:
    """Draw each path in two lines: the norms below the middle one, and those from it on."""
    import torch

    label = min(PATH_CLASS, sampler.num_classes - 1)
    paths = sampler.grown(sampler.directions(PATHS), norms, label)
    missing = 2 * PER_LINE - len(norms)
    white = torch.ones(PATHS, missing, *paths.shape[2:])
    lines = torch.cat([paths, white], dim=1).unflatten(1, (2, PER_LINE)).flatten(0, 1)
    starts = (norms[0], norms[PER_LINE])
    labels = [f"{n + 1}, from {start:g}" for n in range(PATHS) for start in starts]
    steps = torch.arange(PER_LINE) * PATH_STEP
    return _draw_lines(lines, labels, f"seed, class {label}", steps, border=False)


def _draw_lines(
    lines: Tensor, labels: Sequence[str], title: str, norms: Tensor, *, border: bool = True
) -> Picture:
    """Draw lines of images, (rows, columns, c, h, w), with a white pixel between images.

    Args:
        lines: the images, float32 in [0, 1].
        labels: of the lines.
        title: of the labels.
        norms: (columns,) the norms of the columns; added to those of the labels if no ``border``.
        border: whether to mark where norms exceed 5.
    """
    from matplotlib.figure import Figure as Picture

    from oodbench_ganad.seeds import FAKE_NORM

    rows, columns, _, height, width = lines.shape
    mosaic = tiled(lines)
    inches = (COLUMN_WIDTH - 0.23 - 0.04 * max(map(len, labels))) / mosaic.shape[1]
    picture = Picture(figsize=(COLUMN_WIDTH, mosaic.shape[0] * inches + 0.32), layout="constrained")
    axes = picture.subplots()
    shown = (mosaic.squeeze(2) if mosaic.shape[2] == 1 else mosaic).numpy()
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    middles = [column * (width + 1) + width / 2 for column in range(columns)]
    axes.set_xticks(middles, [f"{norm:g}" for norm in norms.tolist()], fontsize=5)
    axes.set_yticks([row * (height + 1) + height / 2 for row in range(rows)], labels, fontsize=5)
    axes.tick_params(length=0, pad=1)
    axes.spines[:].set_visible(False)
    axes.set_ylabel(title)
    axes.set_xlabel("Chebyshev norm of the seed" if border else "norm beyond that of the line")
    if border:
        last_fake = int((norms <= FAKE_NORM).sum())
        axes.axvline(last_fake * (width + 1) - 1, color="C2", linewidth=0.8)
    return picture


def tiled(lines: Tensor) -> Tensor:
    """Put images into one: (rows, columns, c, h, w) to (height, width, c), a pixel between them."""
    import torch.nn.functional as F

    padded = F.pad(lines, (0, 1, 0, 1), value=1.0)
    rows, columns, channels, height, width = padded.shape
    joined = padded.permute(0, 3, 1, 4, 2).reshape(rows * height, columns * width, channels)
    return joined[:-1, :-1]
