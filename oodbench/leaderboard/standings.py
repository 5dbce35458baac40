"""The columns of a board's standings, for the page and for text tables."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from oodbench.leaderboard.boards import Board, Figure, Standing
from oodbench.leaderboard.entries import Entry
from oodbench.report.acceptance import acceptance_note, marks_of
from oodbench.report.layout import MISSING, Cell, clean, percent
from oodbench.report.merging import Variant, labels_of


@dataclass(frozen=True)
class Column:
    """A column of standings.

    Attributes:
        title: the heading.
        cell: what it shows of a standing.
        order: the number that it is sorted by; NaN where there is none.
        shaded: whether it is a share of which more is better, so that its cells are shaded by it.
    """

    title: str
    cell: Callable[[Standing], Cell]
    order: Callable[[Standing], float]
    shaded: bool = False


RANK = Column("Rank", lambda each: _rank(each.rank), lambda each: each.rank or math.inf)


def columns(board: Board) -> list[Column]:
    """Return the columns that follow rank and detector."""
    return [
        _areas("AUROC", lambda each: each.auroc),
        Column("95 % interval", lambda each: Cell(interval(each.auroc)), _low),
        *(_group(name) for name in board.groups),
        *(_set(title) for title in board.sets),
        _figures("FPR95", lambda each: each.fpr95),
        _figures("ID accepted", lambda each: each.accepted, mark=True),
        _number("Mean rank", "{:.2f}".format, lambda each: each.mean_rank),
        _number("Runs", "{}".format, lambda each: each.runs),
        _number("Fit (s)", seconds, lambda each: each.costs.fit_seconds),
        _number("Images/s", rate, lambda each: each.costs.images_per_second),
        _number("Memory (MB)", megabytes, lambda each: each.costs.peak_memory),
        _number("Parameters", "{:,.0f}".format, lambda each: each.costs.parameters),
        _number("Passes", "{:.4g}".format, lambda each: each.costs.forward_passes),
    ]


def labels(board: Board) -> list[str]:
    """Return a label for each standing; detectors that occur more than once say what differs."""
    variants = [_variant(standing.entry) for standing in board.standings]
    return [clean(label) for label in labels_of(variants)]


def _variant(entry: Entry) -> Variant:
    settings = json.loads(entry.parameters)
    settings |= {"plugin": entry.plugin, "precision": entry.precision or "unknown"}
    return Variant(entry.detector, None, id(entry), settings, str(entry.runs[0]))


def acceptance(board: Board) -> str:
    """Return a sentence on the detectors that accept too many or too few ID images."""
    named = zip(labels(board), board.standings, strict=True)
    return acceptance_note({(name, "acc95"): standing.accepted.mean for name, standing in named})


def cell(figure: Figure) -> Cell:
    """Return mean and deviation in percent."""
    if math.isnan(figure.mean):
        return Cell(MISSING)
    spread = "" if math.isnan(figure.std) else f"({percent(figure.std)})"
    return Cell(percent(figure.mean), spread=spread)


def interval(figure: Figure) -> str:
    """Return an interval in percent."""
    if math.isnan(figure.low):
        return MISSING
    return f"{percent(figure.low)}–{percent(figure.high)}"


def seconds(value: float) -> str:
    """Return a time in seconds, to the hundredth where it is short."""
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def rate(value: float) -> str:
    """Return images a second, with three significant digits."""
    digits = 2 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{round(value, digits):,.0f}"


def megabytes(value: float) -> str:
    """Return bytes in millions."""
    return f"{value / 1e6:,.0f}"


def _low(standing: Standing) -> float:
    return standing.auroc.low


def _rank(rank: int | None) -> Cell:
    return Cell(MISSING if rank is None else str(rank))


def _group(name: str) -> Column:
    return _areas(name, lambda each: each.groups[name])


def _set(title: str) -> Column:
    return _areas(title, lambda each: each.sets[title])


def _areas(title: str, find: Callable[[Standing], Figure]) -> Column:
    return replace(_figures(title, find), shaded=True)


def _figures(title: str, find: Callable[[Standing], Figure], *, mark: bool = False) -> Column:
    def show(standing: Standing) -> Cell:
        figure = find(standing)
        return replace(cell(figure), marks=marks_of("acc95", figure.mean) if mark else ())

    return Column(clean(title), show, lambda each: find(each).mean)


def _number(title: str, write: Callable[[float], str], find: Callable[[Standing], float]) -> Column:
    def shown(standing: Standing) -> Cell:
        value = find(standing)
        return Cell(MISSING if math.isnan(value) else write(value))

    return Column(title, shown, find)
