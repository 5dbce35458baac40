"""SVG images, the same bytes for the same numbers."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from oodbench.contracts import plain_label
from oodbench.report.layout import MISSING, clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values: TypeAlias = npt.NDArray[np.float64]

STYLE: Any = {
    "svg.hashsalt": "oodbench",
    "svg.fonttype": "path",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.constrained_layout.use": True,
}
"""Matplotlib's settings while pictures are drawn."""


@contextmanager
def boxes_for_letters() -> Iterator[None]:
    """Draw letters that the font lacks as boxes within the block, without a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        yield


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the style of reports within the block; letters that the font lacks are boxes."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE), boxes_for_letters():
        yield


@dataclass(frozen=True)
class Plot:
    """A drawn plot.

    Attributes:
        title: what it shows.
        caption: how to read it, and how certain it is; short, whatever it shows.
        values: what it shows, in words; empty where a table has the same.
        svg: the image.
        width: of the image, in inches.
    """

    title: str
    caption: str
    values: str
    svg: bytes
    width: float

    @property
    def description(self) -> str:
        """Return the plot in words, for those who cannot see it."""
        return f"{self.caption} {self.values}".rstrip()


def new_figure(rows: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure of a size in inches, and its panels row by row."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasSVG(figure)
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def finish(figure: Figure, title: str, caption: str, values: str = "") -> Plot:
    """Return a drawn figure with its description in words, as in `Plot`."""
    output = io.BytesIO()
    figure.savefig(output, format="svg", metadata={"Date": None, "Creator": None})
    content = output.getvalue()
    return Plot(clean(title), clean(caption), clean(values), content, figure.get_figwidth())


def heat_map(
    values: Values, rows: Sequence[str], columns: Sequence[str], *, label: str, largest: float
) -> Figure:
    """Return a coloured table.

    Args:
        values: (rows, columns) percentages; NaN where there is none.
        rows: names of the rows.
        columns: names of the columns.
        label: what the figures are.
        largest: the value that has the brightest colour.
    """
    widest = max(map(len, columns))
    cell = 0.5 if widest < 5 else 0.9
    beside = 1.5 + 0.1 * max((len(plain_label(name)) for name in rows), default=0)
    figure, (axes,) = new_figure(1, 1, beside + cell * len(columns), 1.2 + 0.3 * len(rows))
    image = axes.imshow(values, vmin=0, vmax=largest, cmap="viridis", aspect="auto")
    axes.set_xticks(range(len(columns)), map(plain_label, columns))
    if widest >= 5:
        axes.tick_params(axis="x", rotation=30)
        for name in axes.get_xticklabels():
            name.set_horizontalalignment("right")
    axes.set_yticks(range(len(rows)), map(plain_label, rows))
    for (row, column), value in np.ndenumerate(values):
        text = MISSING if math.isnan(value) else f"{value:.1f}"
        color = "k" if value > 0.6 * largest else "w"
        axes.text(column, row, text, ha="center", va="center", color=color)
    figure.colorbar(image, ax=axes, label=label)
    return figure
