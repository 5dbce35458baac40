"""Draw the plots of a run as SVG images, the same bytes for the same run."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from oodbench.report.layout import clean
from oodbench.report.summary import summarise
from oodbench.results import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values: TypeAlias = npt.NDArray[np.float64]

_POINTS = 400
"""Points of a drawn curve: more than an image of its size can show."""

_STYLE: Any = {
    "svg.hashsalt": "oodbench",
    "svg.fonttype": "path",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.constrained_layout.use": True,
}


@dataclass(frozen=True)
class Plot:
    """A drawn plot.

    Attributes:
        title: what it shows.
        description: the same for those who cannot see it, with what there is to say about it.
        svg: the image.
    """

    title: str
    description: str
    svg: bytes


@dataclass(frozen=True)
class ShownScores:
    """The scores of one fit of each detector: the first classifier seed and seed.

    Attributes:
        id_dataset: title of the ID set.
        sets: titles of the OOD sets.
        detectors: names, in the order of the records.
        scores: (n,) test scores by detector and title; a detector may lack some.
    """

    id_dataset: str
    sets: tuple[str, ...]
    detectors: tuple[str, ...]
    scores: Mapping[tuple[str, str], Values]

    def pairs(self, title: str) -> Iterator[tuple[str, Values, Values]]:
        """Yield detector, ID scores and scores of an OOD set, where there are both."""
        for detector in self.detectors:
            known = self.scores.get((detector, self.id_dataset))
            unknown = self.scores.get((detector, title))
            if known is not None and unknown is not None:
                yield detector, known, unknown


def shown_scores(run: Run) -> ShownScores:
    """Read the scores to draw."""
    frame = run.scores()
    tests = frame[frame["split"] == "test"]
    records = run.records
    scores: dict[tuple[str, str], Values] = {}
    groups: Any = tests.groupby(["detector", "dataset"], sort=False, observed=True)
    for (detector, title), own in groups:
        seeds = own[["classifier_seed", "seed"]].drop_duplicates()
        first = seeds.sort_values(["classifier_seed", "seed"]).iloc[0]
        chosen = own[own["classifier_seed"] == first["classifier_seed"]]
        if not pd.isna(first["seed"]):
            chosen = chosen[chosen["seed"] == first["seed"]]
        scores[str(detector), str(title)] = chosen["score"].to_numpy(np.float64)
    sets = records.loc[records["ood_dataset"] != "", "ood_dataset"].unique()
    return ShownScores(
        str(records["id_dataset"].iloc[0]),
        tuple(map(str, sets)),
        tuple(map(str, records["detector"].unique())),
        scores,
    )


def draw_plots(run: Run) -> list[Plot]:
    """Draw every plot of a run.

    Raises:
        InvalidData: if the run's scores are missing or damaged.
    """
    import matplotlib as mpl

    shown = shown_scores(run)
    with mpl.rc_context(_STYLE):
        return [
            _heat_map(run.records, shown),
            _curves(shown, "ROC curves", _roc, "OOD accepted as ID", "ID accepted"),
            _curves(shown, "Precision-recall curves, OOD positive", _pr, "recall", "precision"),
            *(_histograms(shown, detector) for detector in shown.detectors),
            _cost(run.records, shown),
        ]


def _heat_map(records: pd.DataFrame, shown: ShownScores) -> Plot:
    summary = summarise(records, ["auroc"]).set_index(["detector", "ood_dataset"])["auroc_mean"]
    values = np.array(
        [
            [100 * float(summary.get((name, title), math.nan)) for title in shown.sets]
            for name in shown.detectors
        ]
    )
    figure, (axes,) = _figure(1, 1, 1.5 + 0.9 * len(shown.sets), 1.2 + 0.3 * len(shown.detectors))
    image = axes.imshow(values, vmin=0, vmax=100, cmap="viridis", aspect="auto")
    axes.set_xticks(range(len(shown.sets)), map(_text, shown.sets), rotation=30, ha="right")
    axes.set_yticks(range(len(shown.detectors)), map(_text, shown.detectors))
    for (row, column), value in np.ndenumerate(values):
        text = "-" if math.isnan(value) else f"{value:.1f}"
        axes.text(column, row, text, ha="center", va="center", color="k" if value > 60 else "w")
    figure.colorbar(image, ax=axes, label="AUROC (%)")
    return _plot(
        figure, "AUROC of each detector on each set", "The figures are those of the table."
    )


def _curves(
    shown: ShownScores,
    title: str,
    curve: Callable[[Values, Values], tuple[Values, Values]],
    horizontal: str,
    vertical: str,
) -> Plot:
    columns = min(4, len(shown.sets))
    rows = math.ceil(len(shown.sets) / columns)
    figure, every = _figure(rows, columns, 2.5 * columns + 1.2, 2.4 * rows + 0.3)
    for axes, name in zip(every, shown.sets, strict=False):
        for detector, known, unknown in shown.pairs(name):
            across, up = curve(known, unknown)
            number = shown.detectors.index(detector)
            style = ("-", "--", ":", "-.")[number // 10 % 4]
            axes.plot(across, up, style, color=f"C{number % 10}", label=_text(detector))
        axes.set(title=_text(name), xlim=(0, 1), ylim=(0, 1.02), xlabel=horizontal, ylabel=vertical)
    for axes in every[len(shown.sets) :]:
        axes.remove()
    handles, labels = _legend(every[: len(shown.sets)])
    figure.legend(handles, labels, loc="outside right upper", frameon=False)
    return _plot(figure, title, f"A panel for each OOD set: {', '.join(shown.sets)}.")


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
    """Return recall and precision of rejecting OOD images, over all thresholds."""
    limits = np.unique(np.concatenate([known, unknown]))
    rejected = [
        len(scores) - np.searchsorted(np.sort(scores), limits, "left")
        for scores in (unknown, known)
    ]
    return _thin(rejected[0] / len(unknown), rejected[0] / (rejected[0] + rejected[1]))


def _thin(across: Values, up: Values) -> tuple[Values, Values]:
    """Return points that lie evenly along a curve, its ends among them."""
    steps = np.hypot(np.diff(across), np.diff(up))
    length = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.searchsorted(length, np.linspace(0, length[-1], _POINTS))
    chosen = np.unique(np.concatenate([[0], wanted, [len(across) - 1]]).clip(0, len(across) - 1))
    return across[chosen], up[chosen]


def _histograms(shown: ShownScores, detector: str) -> Plot:
    titles = [
        title for title in (shown.id_dataset, *shown.sets) if (detector, title) in shown.scores
    ]
    figure, every = _figure(max(len(titles), 1), 1, 6, 0.7 * max(len(titles), 1) + 0.5)
    if titles:
        # All values, but no long tail: outliers are counted in the outermost bins.
        pooled = np.concatenate([shown.scores[detector, title] for title in titles])
        low, high = np.quantile(pooled, [0.005, 0.995])
        edges = np.linspace(low, high if high > low else low + 1, 61)
        for axes, title in zip(every, titles, strict=True):
            values = shown.scores[detector, title].clip(edges[0], edges[-1])
            color = "C0" if title == shown.id_dataset else "C1"
            axes.stairs(np.histogram(values, edges)[0] / len(values), edges, fill=True, color=color)
            axes.set_ylabel(_text(title), rotation=0, ha="right", va="center")
            axes.set(yticks=[], xlim=(edges[0], edges[-1]))
            axes.tick_params(labelbottom=title == titles[-1])
        every[-1].set_xlabel("score; larger = more likely out-of-distribution")
    text = f"Histograms of the ID set {shown.id_dataset} (top) and of each OOD set on one scale."
    return _plot(figure, f"Scores of {detector}", text)


def _cost(records: pd.DataFrame, shown: ShownScores) -> Plot:
    figure, (axes,) = _figure(1, 1, 5.5, 3.6)
    good = records[(records["status"] == "ok") & (records["ood_dataset"] != "")]
    described = []
    for number, detector in enumerate(shown.detectors):
        own = good[good["detector"] == detector]
        seconds = (
            own["fit_seconds"].mean() + own.groupby("classifier_seed")["score_seconds"].sum().mean()
        )
        area = 100 * own["auroc"].mean()
        if math.isnan(seconds) or math.isnan(area):
            continue
        shown_at = max(float(seconds), 1e-3)
        axes.scatter([shown_at], [area], color=f"C{number % 10}")
        axes.annotate(_text(detector), (shown_at, area), textcoords="offset points", xytext=(5, 4))
        described.append(f"{detector} {area:.2f} % in {seconds:.3g} s")
    axes.set(xscale="log", xlabel="seconds to fit and to score", ylabel="mean AUROC (%)")
    axes.margins(0.2)
    return _plot(figure, "AUROC against cost", f"{'; '.join(described)}.")


def _figure(rows: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasSVG(figure)
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def _text(name: str) -> str:
    """Return a name as Matplotlib shows it as it is, without reading formulas into it."""
    return clean(name).replace("$", r"\$")


def _plot(figure: Figure, title: str, description: str) -> Plot:
    output = io.BytesIO()
    figure.savefig(output, format="svg", metadata={"Date": None, "Creator": None})
    return Plot(clean(title), clean(description), output.getvalue())
