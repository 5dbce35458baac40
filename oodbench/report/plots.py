"""The plots of a run as SVG images, the same bytes for the same run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from oodbench.contracts import plain_label, score_range
from oodbench.errors import FigureUnavailable
from oodbench.report.classes import accepted_classes, rejected_classes
from oodbench.report.names import Mark, find_room
from oodbench.report.pictures import Plot, Values, drawing, finish, heat_map, new_figure
from oodbench.report.ranking import draw_mean_ranks, mean_ranks
from oodbench.report.samples import Shown
from oodbench.report.summary import summarise
from oodbench.report.usemap import draw_use_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

CURVES = 10
"""Detectors with a curve in each panel: as many as there are colours to tell apart."""

_POINTS = 400
"""Points of a drawn curve: more than an image of its size can show."""


@dataclass(frozen=True)
class Plots:
    """The plots of a run, by the part of the page that they belong to.

    Attributes:
        overview: AUROC of every detector on every set, against cost, costs in use, and ranks.
        curves: ROC and precision-recall curves.
        scores: a histogram for each detector.
        classes: which classes are rejected or accepted.
        classless: a sentence about the sets whose classes are not shown; empty without any.
        missing: a sentence for each plot of the overview that there is none of.
    """

    overview: Sequence[Plot]
    curves: Sequence[Plot]
    scores: Sequence[Plot]
    classes: Sequence[Plot]
    classless: str
    missing: Sequence[str]


def draw_plots(records: pd.DataFrame, shown: Shown) -> Plots:
    """Draw every plot of a run.

    Args:
        records: columns as in `oodbench.results.columns.RECORD`.
        shown: scores, labels and predictions of the same run.
    """
    with drawing():
        overview = [_aurocs(records, shown)]
        best = _best(records, shown)
        curves = [
            _curves(shown, best, "ROC curves", _roc, "OOD accepted as ID", "ID accepted"),
            _curves(
                shown,
                best,
                "Precision-recall curves, OOD positive",
                _pr,
                "recall",
                "precision",
                drawstyle="steps-post",  # so that the area is the average precision
            ),
        ]
        scores = [_histograms(shown, detector) for detector in shown.detectors]
        accepted, classless = accepted_classes(shown)
        classes = [*rejected_classes(shown), *accepted]
        if any(judged.limit is None for judged in shown.judged.values()):
            classless = "No classes are shown: without calibration scores there is no threshold."
        missing = []
        for draw in (
            partial(_cost, records, shown),
            partial(draw_use_map, shown),
            partial(_mean_ranks, records),
        ):
            try:
                overview.append(draw())
            except FigureUnavailable as error:
                missing.append(str(error))
    return Plots(overview, curves, scores, classes, classless, missing)


def _mean_ranks(records: pd.DataFrame) -> Plot:
    return draw_mean_ranks(mean_ranks(records))


def _best(records: pd.DataFrame, shown: Shown) -> list[str]:
    """Return the detectors with the largest mean AUROC, best first, at most `CURVES` of them."""
    good = records[(records["status"] == "ok") & (records["ood_dataset"] != "")]
    areas = good.groupby("detector")["auroc"].mean()
    ranked = sorted(shown.detectors, key=lambda each: -float(areas.get(each, -math.inf)))
    return ranked[:CURVES]


def _aurocs(records: pd.DataFrame, shown: Shown) -> Plot:
    summary = summarise(records, ["auroc"]).set_index(["detector", "ood_dataset"])["auroc_mean"]
    values = np.array(
        [
            [100 * float(summary.get((name, title), math.nan)) for title in shown.sets]
            for name in shown.detectors
        ]
    )
    figure = heat_map(values, shown.detectors, shown.sets, label="AUROC (%)", largest=100)
    return finish(
        figure, "AUROC of each detector on each set", "The figures are those of the table."
    )


def _curves(
    shown: Shown,
    best: Sequence[str],
    title: str,
    curve: Callable[[Values, Values], tuple[Values, Values]],
    horizontal: str,
    vertical: str,
    drawstyle: str = "default",
) -> Plot:
    columns = min(4, len(shown.sets))
    rows = math.ceil(len(shown.sets) / columns)
    width = 2.6 * columns + 0.4
    longest = max((len(plain_label(name)) for name in best), default=0)
    in_a_row = max(1, int(width / (0.5 + 0.1 * longest)))
    height = 2.4 * rows + 0.3 + 0.2 * math.ceil(len(best) / in_a_row)
    figure, every = new_figure(rows, columns, width, height)
    lines: dict[str, Line2D] = {}
    for axes, name in zip(every, shown.sets, strict=False):
        for detector, known, unknown in shown.pairs(name):
            if detector not in best:
                continue
            across, up = curve(known, unknown)
            color = f"C{best.index(detector)}"
            (lines[detector],) = axes.plot(across, up, color=color, drawstyle=drawstyle)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=horizontal, ylabel=vertical)
        axes.set_title(plain_label(name))
    for axes in every[len(shown.sets) :]:
        axes.remove()
    figure.legend(
        *(list(lines.values()), list(map(plain_label, lines))),
        loc="outside upper center",
        ncols=in_a_row,
        frameon=False,
    )
    text = "A panel for each OOD set."
    if len(shown.detectors) > len(best):
        text += f" The {len(best)} detectors with the largest mean AUROC."
    return finish(figure, title, text, f"The sets: {', '.join(shown.sets)}.")


def _roc(known: Values, unknown: Values) -> tuple[Values, Values]:
    """Return the share of OOD and of ID images accepted, over all thresholds."""
    limits = np.concatenate([[-np.inf], np.unique(np.concatenate([known, unknown]))])
    accepted = [
        np.searchsorted(np.sort(scores), limits, "right") / len(scores)
        for scores in (unknown, known)
    ]
    return _thin(accepted[0], accepted[1])


def _pr(known: Values, unknown: Values) -> tuple[Values, Values]:
    """Return recall and precision of rejecting OOD images, over all thresholds, and recall 0."""
    limits = np.unique(np.concatenate([known, unknown]))
    rejected = [
        len(scores) - np.searchsorted(np.sort(scores), limits, "left")
        for scores in (unknown, known)
    ]
    recall, precision = rejected[0] / len(unknown), rejected[0] / (rejected[0] + rejected[1])
    return _thin(np.append(recall, 0.0), np.append(precision, precision[-1]))


def _thin(across: Values, up: Values) -> tuple[Values, Values]:
    """Return points that lie evenly along a curve, its ends among them."""
    steps = np.hypot(np.diff(across), np.diff(up))
    length = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.searchsorted(length, np.linspace(0, length[-1], _POINTS))
    chosen = np.unique(np.concatenate([[0], wanted, [len(across) - 1]]).clip(0, len(across) - 1))
    return across[chosen], up[chosen]


def _histograms(shown: Shown, detector: str) -> Plot:
    titles = [
        title for title in (shown.id_dataset, *shown.sets) if (detector, title) in shown.judged
    ]
    figure, every = new_figure(max(len(titles), 1), 1, 6, 0.7 * max(len(titles), 1) + 0.5)
    if titles:
        # All values, but no long tail: outliers are counted in the outermost bins.
        edges = np.linspace(
            *score_range(*(shown.judged[detector, title].scores for title in titles)), 61
        )
        for axes, title in zip(every, titles, strict=True):
            values = shown.judged[detector, title].scores.clip(edges[0], edges[-1])
            color = "C0" if title == shown.id_dataset else "C1"
            axes.stairs(np.histogram(values, edges)[0] / len(values), edges, fill=True, color=color)
            axes.set_ylabel(plain_label(title), rotation=0, ha="right", va="center")
            axes.set(yticks=[], xlim=(edges[0], edges[-1]))
            axes.tick_params(labelbottom=title == titles[-1])
        every[-1].set_xlabel("score; larger = more likely out-of-distribution")
    text = f"The ID set {shown.id_dataset} (top) and each OOD set."
    return finish(figure, f"Scores of {detector}", text)


def _cost(records: pd.DataFrame, shown: Shown) -> Plot:
    good = records[(records["status"] == "ok") & (records["ood_dataset"] != "")]
    names, points = [], []
    for detector in shown.detectors:
        own = good[good["detector"] == detector]
        runs = own.groupby(["classifier_seed", "seed"], dropna=False)
        # a median, since what scores first imports libraries
        each_image = (own["score_seconds"] / own["n_ood"]).astype(float).median()
        seconds = own["fit_seconds"].median() + each_image * runs["n_ood"].sum().mean()
        area = 100 * own["auroc"].mean()
        if not (pd.isna(seconds) or pd.isna(area)):  # of scores computed elsewhere there are none
            names.append(detector)
            points.append((max(float(seconds), 1e-3), float(area)))
    if not points:
        raise FigureUnavailable("AUROC against cost is not shown: the run has no times.")
    figure, (axes,) = new_figure(1, 1, 6, 4.5)
    axes.set(xlabel="seconds to fit and to score", ylabel="mean AUROC (%)")
    axes.margins(0.1)
    across, up = zip(*points, strict=True)
    axes.scatter(across, up, color="C0", s=16)
    _scale_costs(axes, np.array(across))
    _name_points(figure, axes, names, points)
    described = [
        f"{name} {area:.2f} % in {seconds:.3g} s"
        for name, (seconds, area) in zip(names, points, strict=True)
    ]
    text = "Mean over the OOD sets, against the time to fit and to score the images of all of them."
    return finish(figure, "AUROC against cost", text, f"{'; '.join(described)}.")


def _scale_costs(axes: Axes, seconds: Values) -> None:
    """Make the horizontal axis logarithmic, a decade long at least, its labels apart."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    decades = np.log10(seconds)
    margin = max(0.1 * np.ptp(decades), (1 - np.ptp(decades)) / 2)
    low, high = decades.min() - margin, decades.max() + margin
    axes.set(xscale="log", xlim=(10**low, 10**high))
    if high - low < 2:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _name_points(
    figure: Figure, axes: Axes, names: Sequence[str], points: Sequence[tuple[float, float]]
) -> None:
    """Write the names of points beside them, as far as there is room; best ones first."""
    figure.draw_without_rendering()  # places follow from limits and layout
    places = axes.transData.transform(np.array(points)) * 72 / figure.dpi  # in points
    middle = float(places[:, 0].mean())
    marks = [
        Mark(float(x), float(y), plain_label(name), rightwards=bool(x <= middle))
        for name, (x, y) in zip(names, places, strict=True)
    ]
    order = np.argsort([-area for _, area in points], kind="stable")
    for number in find_room([marks[each] for each in order], letter=4.6, line=8, radius=3):
        which = order[number]
        right = marks[which].rightwards
        axes.annotate(
            plain_label(names[which]),
            points[which],
            xytext=(4 if right else -4, 0),
            textcoords="offset points",
            ha="left" if right else "right",
            va="center",
            fontsize=8,
        )
