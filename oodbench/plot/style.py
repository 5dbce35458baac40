"""The common style of pictures, and writing them so that equal pictures have equal bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodbench.report.pictures import boxes_for_letters

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture

COLOURS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#92dadd",
    "#717581",
    "#94a4a2",
)
"""Ten colours that colour-blind readers can tell apart (Petroff, "Accessible color sequences for
data visualization", arXiv 2107.02270), greys last: figures use grey for what is behind."""

DASHES = ("-", "--", "-.", ":", "-", "--", "-.", ":", "-", "--")
"""Line styles that go with the colours, for print without colour."""

FORMATS = ("png", "svg")

STYLE: dict[str, Any] = {
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "legend.fontsize": 6,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "legend.labelspacing": 0.25,
    "xtick.labelsize": 6,
    "ytick.labelsize": 6,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 0.9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 300,
    "savefig.dpi": 300,
    "svg.hashsalt": "oodbench",
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the house style within the block, whatever the user's settings.

    Letters that the font lacks become boxes.
    """
    import matplotlib.style
    from cycler import cycler

    cycle = cycler(color=COLOURS) + cycler(linestyle=DASHES)
    style = matplotlib.style.context(["default", STYLE | {"axes.prop_cycle": cycle}])
    with style, boxes_for_letters():
        yield


def save(picture: Picture, folder: Path, name: str) -> list[Path]:
    """Write a picture as PNG and SVG, without dates and versions, and return the paths."""
    paths = []
    for kind in FORMATS:
        path = folder / f"{name}.{kind}"
        left_out = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
        picture.savefig(path, metadata=left_out)
        paths.append(path)
    return paths
