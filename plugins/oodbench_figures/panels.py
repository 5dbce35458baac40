"""The layout of figures with one panel for each data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodbench.contracts import COLUMN_WIDTH

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture

COLUMNS = 2

POINTS = 1_000
"""Images shown of each data set, as in the paper."""


def make_panels(count: int, height: float, *, shared: bool) -> tuple[Picture, list[Axes]]:
    """Return a picture with ``count`` panels, two in a row.

    Args:
        count: number of panels.
        height: of a row of panels in inches.
        shared: whether all panels have the same axes, labelled at the edges of the picture.
    """
    from matplotlib.figure import Figure as Picture

    rows = -(-count // COLUMNS)
    picture = Picture(figsize=(COLUMN_WIDTH, rows * height), layout="constrained")
    grid = picture.subplots(rows, COLUMNS, squeeze=False, sharex=shared, sharey=shared)
    panels = list(grid.flat)
    for unused in panels[count:]:
        unused.set_axis_off()
        if shared:  # the panel above it is the last of its column
            panels[panels.index(unused) - COLUMNS].xaxis.set_tick_params(labelbottom=True)
    return picture, panels[:count]


def some(count: int) -> np.ndarray:
    """Return the positions of `POINTS` of ``count`` images, always the same: (n,) int64."""
    import numpy as np

    return np.random.default_rng(0).permutation(count)[:POINTS]
