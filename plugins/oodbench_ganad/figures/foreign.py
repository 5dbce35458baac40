"""Scores of images of another run's generator by the norm of their seeds (Figure 17)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodbench.contracts import COLUMN_WIDTH, Figure, FigureUnavailable, Info, RunView, plain_label
from oodbench_ganad.detector import PAPER
from oodbench_ganad.figures.outputs import (
    Curves,
    add_legend,
    draw_classes,
    draw_threshold,
    measure,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture


class ForeignFakes(Figure):
    """The mean score of images that the generator of another ID set makes.

    The paper shows the detector for MNIST the images of CIFAR-10's generator. All of them are OOD,
    whatever their norm. The dotted line is the threshold that keeps 95 % of the calibration images.
    """

    info = Info(
        name="foreign-fakes",
        title="Scores of another set's fakes",
        summary="Scores of the images that the generator of another run makes, by norm.",
        paper=PAPER,
        deviations=("Scores have the sign of oodbench: larger is more likely OOD.",),
    )
    numbers = (17,)
    needs = "a second run with a generator (--other), in the same store"

    def draw(self, run: RunView) -> dict[str, Picture]:
        """Return a picture for each detector that uses this run's generator."""
        from oodbench_ganad.figures.sampling import PART, Sampler

        if run.other is None:
            raise FigureUnavailable("name a second run with a generator by --other")
        detectors = run.users_of(PART)
        if not detectors:
            raise FigureUnavailable("no detector of the run uses a generator")
        judges = {name: (lambda images, n=name: run.score(n, images)) for name in detectors}
        curves = measure(Sampler.of(run.other), run, judges)
        return {name: _draw(curves, name, run, run.other.id_dataset) for name in detectors}


def _draw(curves: Curves, name: str, run: RunView, other: str) -> Picture:
    from matplotlib.figure import Figure as Picture

    picture = Picture(figsize=(COLUMN_WIDTH, 2.4), layout="constrained")
    axes = picture.subplots()
    draw_classes(axes, curves.norms, curves.scores[name])
    draw_threshold(axes, run.threshold(name))
    axes.set(
        xlabel=f"Chebyshev norm of the seed of a {plain_label(other)} generator",
        ylabel=f"score of {plain_label(name)}\n({plain_label(run.id_dataset)})",
    )
    add_legend(picture, axes)
    return picture
