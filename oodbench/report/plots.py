"""Draw the plots of a run as SVG images, the same bytes for the same run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from oodbench.errors import FigureUnavailable
from oodbench.report.classes import accepted_classes, rejected_classes
from oodbench.report.pictures import STYLE, Plot, Values, finish, heat_map, new_figure, plain
from oodbench.report.ranking import draw_mean_ranks, mean_ranks
from oodbench.report.shown import Shown
from oodbench.report.summary import summarise

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 400
"""Points of a drawn curve: more than an image of its size can show."""


def draw_plots(records: pd.DataFrame, shown: Shown) -> tuple[list[Plot], list[str]]:
    """Draw every plot of a run.

    Args:
        records: columns as in `oodbench.results.RECORD`.
        shown: scores, labels and predictions of the same run.

    Returns:
        The plots, and a sentence for each that there is none of.
    """
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        plots = [
            _aurocs(records, shown),
            _curves(shown, "ROC curves", _roc, "OOD accepted as ID", "ID accepted"),
            _curves(
                shown,
                "Precision-recall curves, OOD positive",
                _pr,
                "recall",
                "precision",
                drawstyle="steps-post",  # so that the area is the average precision
            ),
            *(_histograms(shown, detector) for detector in shown.detectors),
            _cost(records, shown),
        ]
        accepted, unlabelled = accepted_classes(shown)
        plots += [*rejected_classes(shown), *accepted]
        missing = [unlabelled] if unlabelled else []
        try:
            plots.append(draw_mean_ranks(mean_ranks(records)))
        except FigureUnavailable as error:
            missing.append(str(error))
    return plots, missing


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
    title: str,
    curve: Callable[[Values, Values], tuple[Values, Values]],
    horizontal: str,
    vertical: str,
    drawstyle: str = "default",
) -> Plot:
    columns = min(4, len(shown.sets))
    rows = math.ceil(len(shown.sets) / columns)
    figure, every = new_figure(rows, columns, 2.5 * columns + 1.2, 2.4 * rows + 0.3)
    for axes, name in zip(every, shown.sets, strict=False):
        for detector, known, unknown in shown.pairs(name):
            across, up = curve(known, unknown)
            number = shown.detectors.index(detector)
            style = ("-", "--", ":", "-.")[number // 10 % 4]
            axes.plot(
                *(across, up, style),
                color=f"C{number % 10}",
                drawstyle=drawstyle,
                label=plain(detector),
            )
        axes.set(title=plain(name), xlim=(0, 1), ylim=(0, 1.02), xlabel=horizontal, ylabel=vertical)
    for axes in every[len(shown.sets) :]:
        axes.remove()
    handles, labels = _legend(every[: len(shown.sets)])
    figure.legend(handles, labels, loc="outside right upper", frameon=False)
    return finish(figure, title, f"A panel for each OOD set: {', '.join(shown.sets)}.")


def _legend(every: Sequence[Axes]) -> tuple[list[Any], list[str]]:
    """Return a handle for each detector that some panel shows."""
    found: dict[str, Any] = {}
    for axes in every:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)


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
        pooled = np.concatenate([shown.judged[detector, title].scores for title in titles])
        low, high = np.quantile(pooled, [0.005, 0.995])
        edges = np.linspace(low, high if high > low else low + 1, 61)
        for axes, title in zip(every, titles, strict=True):
            values = shown.judged[detector, title].scores.clip(edges[0], edges[-1])
            color = "C0" if title == shown.id_dataset else "C1"
            axes.stairs(np.histogram(values, edges)[0] / len(values), edges, fill=True, color=color)
            axes.set_ylabel(plain(title), rotation=0, ha="right", va="center")
            axes.set(yticks=[], xlim=(edges[0], edges[-1]))
            axes.tick_params(labelbottom=title == titles[-1])
        every[-1].set_xlabel("score; larger = more likely out-of-distribution")
    text = f"Histograms of the ID set {shown.id_dataset} (top) and of each OOD set on one scale."
    return finish(figure, f"Scores of {detector}", text)


def _cost(records: pd.DataFrame, shown: Shown) -> Plot:
    from adjustText import adjust_text

    figure, (axes,) = new_figure(1, 1, 7, 4 + 0.05 * len(shown.detectors))
    good = records[(records["status"] == "ok") & (records["ood_dataset"] != "")]
    described, points, labels = [], [], []
    for detector in shown.detectors:
        own = good[good["detector"] == detector]
        runs = own.groupby(["classifier_seed", "seed"], dropna=False)
        seconds = own["fit_seconds"].mean() + runs["score_seconds"].sum().mean()
        area = 100 * own["auroc"].mean()
        if math.isnan(seconds) or math.isnan(area):
            continue
        points.append((max(float(seconds), 1e-3), area))
        axes.scatter(*points[-1], color="C0", s=16)
        labels.append(axes.text(*points[-1], plain(detector), fontsize=8))
        described.append(f"{detector} {area:.2f} % in {seconds:.3g} s")
    axes.set(xscale="log", xlabel="seconds to fit and to score", ylabel="mean AUROC (%)")
    axes.margins(0.1)
    if labels:
        adjust_text(
            labels,
            *zip(*points, strict=True),
            ax=axes,
            iter_lim=500,  # and no limit of time, by which pictures would differ
            expand=(1.1, 1.4),
            arrowprops={"arrowstyle": "-", "color": "0.6", "linewidth": 0.5},
        )
    return finish(figure, "AUROC against cost", f"{'; '.join(described)}.")
