"""ROC curves and score distributions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodbench.contracts import COLUMN_WIDTH, Figure, Info, RunView, plain_label, score_range
from oodbench_figures.paper import PAPER

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture

BINS = 120
LEGEND_COLUMNS = 2

ROW = 0.85
"""Height of the tallest distribution, in rows."""


class ScoreCurves(Figure):
    """For each detector, its ROC curve and the distribution of its scores on every data set.

    The ID set is the positive class, as for FPR95: a curve shows which share of the ID images is
    accepted where a share of the OOD images is. Every training of the detector has its own
    curve; the number beside a set is the mean AUROC of the records. A dashed line marks the
    threshold that keeps 95 % of the calibration images.
    """

    info = Info(
        name="scores",
        title="ROC curves and distributions of scores",
        summary="ROC curves and the distribution of scores on each data set, for each detector.",
        paper=PAPER,
    )
    numbers = (7, 11)

    def draw(self, run: RunView) -> dict[str, Picture]:
        """Return a picture for each detector."""
        return {detector: _draw_detector(run, detector) for detector in run.detectors}


def _draw_detector(run: RunView, detector: str) -> Picture:
    from matplotlib.figure import Figure as Picture

    rows = 1 + len(run.ood_datasets)
    legend_rows = -(-len(run.ood_datasets) // LEGEND_COLUMNS)
    size = (COLUMN_WIDTH, 3.1 + 0.26 * rows + 0.12 * legend_rows)
    picture = Picture(figsize=size, layout="constrained")
    curves, ridges = picture.subplots(2, 1, height_ratios=(2.5, 0.4 + 0.26 * rows))
    draw_curves(curves, run, detector)
    draw_ridges(ridges, run, detector)
    curves.set_title(f"(a) ROC of {plain_label(detector)}, AUROC in %", loc="left")
    picture.legend(loc="outside upper center", ncols=LEGEND_COLUMNS)
    ridges.set_title("(b) scores; dashed: keeps 95 % of calibration images", loc="left")
    return picture


def draw_curves(axes: Axes, run: RunView, detector: str) -> None:
    """Draw a ROC curve for each OOD set and training."""
    from sklearn.metrics import roc_curve

    id_scores = run.scores(detector, run.id_dataset)
    aurocs = run.records[run.records["detector"] == detector].groupby("ood_dataset")["auroc"].mean()
    for number, dataset in enumerate(run.ood_datasets):
        label = f"{plain_label(dataset)} {100 * aurocs[dataset]:.2f}"
        for known, unknown in zip(id_scores, run.scores(detector, dataset), strict=True):
            truth, scores = _joined(known, unknown)
            accepted_ood, accepted_id, _ = roc_curve(truth, -scores)
            (line,) = axes.plot(accepted_ood, accepted_id, label=label, clip_on=False)
            line.set(color=f"C{number % 10}", linestyle=DASHES[number % len(DASHES)])
            label = ""  # one entry in the legend for all trainings
    axes.set(
        xlabel="share of OOD images accepted",
        ylabel=f"share of {plain_label(run.id_dataset)} accepted",
        xlim=(0, 1),
        ylim=(0, 1),
    )


DASHES = ("-", "--", "-.", ":")


def _joined(known: np.ndarray, unknown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which scores are of ID images, and all scores, as float64."""
    import numpy as np

    truth = np.r_[np.ones(len(known)), np.zeros(len(unknown))]
    return truth, np.r_[known, unknown].astype(np.float64)


def draw_ridges(axes: Axes, run: RunView, detector: str) -> None:
    """Draw the distribution of scores on each data set above its own line."""
    import numpy as np

    datasets = [run.id_dataset, *run.ood_datasets]
    scores = [np.concatenate(run.scores(detector, dataset)) for dataset in datasets]
    low, high = score_range(*scores)
    edges = np.linspace(low, high, BINS + 1)
    for row, values in enumerate(scores):
        counts, _ = np.histogram(np.clip(values, low, high), edges)
        heights = row - ROW * counts / counts.max()
        colour = "0.25" if row == 0 else f"C{(row - 1) % 10}"
        axes.stairs(heights, edges, baseline=row, fill=True, color=colour, alpha=0.8)
    axes.axvline(run.threshold(detector), color="black", linestyle="--", linewidth=0.6)
    axes.set(
        xlabel=f"score of {plain_label(detector)} (larger = more likely OOD)",
        xlim=(low, high),
        ylim=(len(datasets) - 0.9, -1),
    )
    axes.set_yticks(range(len(datasets)), map(plain_label, datasets))
    axes.tick_params(axis="y", length=0)
