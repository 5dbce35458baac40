"""The cells of tables: figures in percent, with their marks and the best of a row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from oodbench.report.columns import COLUMNS
from oodbench.report.footnotes import DAGGER, TIES_WORTH_A_MARK
from oodbench.report.layout import MISSING, Cell, clean, percent


def label(name: str, marks: Mapping[str, tuple[str, ...]]) -> Cell:
    """Return a name with its marks, given those of all names."""
    return Cell(clean(name), marks=marks.get(name, ()))


def figure(mean: float, std: float = math.nan) -> Cell:
    """Return a fraction in percent with its deviation; `MISSING` where it is NaN."""
    if math.isnan(mean):
        return Cell(MISSING)
    return Cell(percent(mean), spread="" if math.isnan(std) else f"({percent(std)})")


def ties_marks(share: float) -> tuple[str, ...]:
    """Return the mark of a figure of scores of which a share is tied, if it needs one."""
    return (DAGGER,) if share > TIES_WORTH_A_MARK else ()


def with_marks(cell: Cell, marks: tuple[str, ...]) -> Cell:
    """Return a cell with further marks, unless it shows nothing."""
    return cell if cell.text == MISSING else replace(cell, marks=(*marks, *cell.marks))


def with_best(cells: Sequence[Cell], metric: str) -> list[Cell]:
    """Mark the best of two or more figures; those that look equal are equally good."""
    figures = [float(cell.text) for cell in cells if cell.text != MISSING]
    if len(figures) < 2:
        return list(cells)
    best = max(figures) if COLUMNS[metric].larger_is_better else min(figures)
    return [replace(cell, best=cell.text == f"{best:.2f}") for cell in cells]
