"""The classifier's confidence against a detector's score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodbench.contracts import Figure, Info, RunView, plain_label, score_range
from oodbench_figures.panels import make_panels, some
from oodbench_figures.paper import PAPER

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure as Picture


class ConfidenceAgainstScore(Figure):
    """A point for each image: the classifier's largest probability over the detector's score.

    Every data set has a panel, with the ID images in dark grey behind those of an OOD set. What
    lies to the right of the dashed line is rejected by the threshold that keeps 95 % of the
    calibration images; these are ID training images, and not plotted.
    """

    info = Info(
        name="confidence",
        title="Confidence against score",
        summary="Confidence of the classifier against the score of each detector, by data set.",
        paper=PAPER,
    )
    numbers = (8, 9)
    needs = "the classifier's outputs in the store"

    def draw(self, run: RunView) -> dict[str, Picture]:
        """Return a picture for each detector."""
        confidences = {
            dataset: run.outputs(dataset).confidence
            for dataset in (run.id_dataset, *run.ood_datasets)
        }
        return {detector: _draw_detector(run, detector, confidences) for detector in run.detectors}


def _draw_detector(run: RunView, detector: str, confidences: dict[str, np.ndarray]) -> Picture:
    scores = {dataset: run.scores(detector, dataset)[0] for dataset in confidences}
    picture, panels = make_panels(len(confidences), height=1.05, shared=True)
    low, high = score_range(*scores.values())
    limit = run.threshold(detector)
    for number, (panel, dataset) in enumerate(zip(panels, confidences, strict=True)):
        shown = [(run.id_dataset, "0.25")]
        if number:
            shown.append((dataset, f"C{(number - 1) % 10}"))
        for name, colour in shown:
            chosen = some(len(scores[name]))
            points = (scores[name][chosen].clip(low, high), confidences[name][chosen])
            panel.scatter(*points, s=2, color=colour, alpha=0.6, linewidths=0, rasterized=True)
        panel.axvline(limit, color="black", linestyle="--", linewidth=0.6)
        panel.set_title(plain_label(dataset), pad=2)
        panel.set(xlim=(low, high), ylim=(0, 1.04))
    known = plain_label(run.id_dataset)
    picture.supxlabel(
        f"score of {plain_label(detector)} (larger = more likely OOD)\n"
        f"dark: {known}; dashed: threshold that keeps 95 % of the calibration\n"
        "images, which are ID training images and not those plotted",
        fontsize=7,
    )
    picture.supylabel("confidence of the classifier", fontsize=7)
    return picture
