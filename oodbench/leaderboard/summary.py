"""The cards at the top of the leaderboard: the best of each board, and AUROC against cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from oodbench.leaderboard.boards import Board, Costs
from oodbench.leaderboard.standings import interval, labels, seconds
from oodbench.report.layout import percent
from oodbench.report.names import Mark, find_room

BEST = 5
"""Detectors that a card lists."""

SCORED = 10_000
"""Images whose scoring counts in the cost of a detector."""

WIDTH, HEIGHT, MARGIN = 320, 170, 14
"""Size of a plot, and what stays free around the points, in the units of the SVG image."""

LETTER, LINE, DOT = 5.4, 8.0, 3.5
"""Width of a letter, height of a line and radius of a point in a plot, in the same units."""

MARKED = (50, 80, 90, 95, 98, 99, 99.5, 99.9)
"""AUROCs that the axis of a plot names, in percent."""


@dataclass(frozen=True)
class Best:
    """One of the best detectors of a board.

    Attributes:
        rank: equal for detectors between which no difference is supported.
        name: of the detector.
        auroc: its mean over the OOD sets, in percent.
        interval: the 95 % interval, in percent.
        left: where the interval begins on a scale that all of a card share, in [0, 100].
        width: how long it is on that scale.
        middle: where the mean lies on it.
    """

    rank: str
    name: str
    auroc: str
    interval: str
    left: float
    width: float
    middle: float


@dataclass(frozen=True)
class Point:
    """A detector in the plot of AUROC against cost.

    Attributes:
        x: place from the left.
        y: place from the top.
        text: name, AUROC and cost.
        name: what stands beside the point; empty where there is no room, or it is beaten.
        unbeaten: whether no other detector is better and cheaper.
    """

    x: float
    y: float
    text: str
    name: str
    unbeaten: bool

    @property
    def anchor(self) -> str:
        """Return which end of the name touches the point, as SVG calls it."""
        return "start" if self.x < WIDTH / 2 else "end"


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: its place, and what stands beside it."""

    place: float
    text: str


@dataclass(frozen=True)
class Plot:
    """AUROC against cost: the detectors, the marks of both axes, and all of it in words."""

    points: Sequence[Point]
    across: Sequence[Tick]
    up: Sequence[Tick]
    description: str


def find_best(board: Board) -> tuple[list[Best], str]:
    """Return the best detectors of a board, and a sentence on further ones of the last rank."""
    names = dict(zip(map(id, board.standings), labels(board), strict=True))
    ranked = [each for each in board.standings if each.rank is not None]
    chosen = ranked[:BEST]
    if not chosen:
        return [], ""
    ends = [(each.auroc.low, each.auroc.high) for each in chosen]
    lows = [low for low, _ in ends if not math.isnan(low)]
    highs = [high for _, high in ends if not math.isnan(high)]
    means = [each.auroc.mean for each in chosen]
    low, high = min(lows + means), max(highs + means)
    span = (high - low) or 1.0

    def place(value: float) -> float:
        return round(100 * (value - low) / span, 2)

    best = [
        Best(
            str(each.rank),
            names[id(each)],
            percent(each.auroc.mean),
            interval(each.auroc),
            *_extent(place(each.auroc.low), place(each.auroc.high)),
            place(each.auroc.mean),
        )
        for each in chosen
    ]
    more = sum(each.rank == chosen[-1].rank for each in ranked[BEST:])
    return best, f"{more} more share rank {chosen[-1].rank}." if more else ""


def _extent(left: float, right: float) -> tuple[float, float]:
    return (0.0, 0.0) if math.isnan(left) else (left, round(right - left, 2))


def draw_costs(board: Board) -> Plot | None:
    """Return the plot of a board; None if fewer than two detectors have AUROC and costs.

    Both scales are logarithmic: of the cost, and of what the AUROC lacks to 100 %.
    """
    found = sorted(
        (math.log10(cost), _nines(each.auroc.mean), name, f"{percent(each.auroc.mean)} %")
        for name, each in zip(labels(board), board.standings, strict=True)
        if each.rank is not None and 0 < (cost := cost_of(each.costs)) < math.inf
    )
    if len(found) < 2:
        return None
    decades = range(
        math.floor(found[0][0]), max(math.ceil(found[-1][0]), 1 + math.floor(found[0][0])) + 1
    )
    low, high = min(each[1] for each in found), max(each[1] for each in found)
    across = _Scale(decades[0], decades[-1], MARGIN, WIDTH - MARGIN)
    up = _Scale(low, max(high, low + 1e-6), HEIGHT - MARGIN, MARGIN)
    points = []
    for decade, nines, name, area in found:
        unbeaten = not any(cost <= decade and rival > nines for cost, rival, _, _ in found)
        text = f"{name}: {area}, {seconds(10**decade)} s"
        points.append(Point(across(decade), up(nines), text, name if unbeaten else "", unbeaten))
    return Plot(
        _without_overlaps(points),
        [Tick(across(decade), f"{10.0**decade:g} s") for decade in decades],
        [
            Tick(up(_nines(area / 100)), f"{area:g}")
            for area in MARKED
            if low <= _nines(area / 100) <= high
        ],
        "; ".join(point.text for point in points),
    )


def _nines(area: float) -> float:
    """Return how many nines an AUROC begins with, 4 at most: 1 for 90 %, 2 for 99 %."""
    return -math.log10(max(1 - area, 1e-4))


@dataclass(frozen=True)
class _Scale:
    """A linear scale from values to places."""

    low: float
    high: float
    first: float
    last: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.first + share * (self.last - self.first), 1)


def _without_overlaps(points: Sequence[Point]) -> list[Point]:
    """Return the points, without the names that would lie on another name or on a point."""
    ranked = sorted(points, key=lambda each: each.y)
    marks = [Mark(each.x, each.y, each.name, each.anchor == "start") for each in ranked]
    shown = {ranked[number] for number in find_room(marks, letter=LETTER, line=LINE, radius=DOT)}
    return [point if point in shown else replace(point, name="") for point in points]


def cost_of(costs: Costs) -> float:
    """Return the seconds to fit a detector and to score `SCORED` images; NaN if not recorded."""
    rate = costs.images_per_second
    return costs.fit_seconds + SCORED / rate if rate > 0 else math.nan
