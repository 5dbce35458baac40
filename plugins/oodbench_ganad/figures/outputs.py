"""Outputs of classifier and detectors on images of growing seeds (Figures 5 and 12)."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oodbench.contracts import COLUMN_WIDTH, Figure, Info, RunView, plain_label
from oodbench_ganad.detector import PAPER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture
    from torch import Tensor

    from oodbench_ganad.figures.sampling import Sampler

DIRECTIONS = 50
"""Seeds of each class that are averaged; the same ones for all norms and classes."""

STEP = 0.5

CRITIC = "critic"
CRITIC_DETECTOR = "wgan-critic"
"""The detector that is the critic itself; it is drawn whether or not the run has it."""

DASHES = ("-", "--")


class OutputsByNorm(Figure):
    """Mean confidence and mean score by the norm of the seed, a line for each class.

    Figure 5 is the picture of the critic that the generator was trained against, Figure 12 that of
    ``ganad``. Scores are larger for what is more likely OOD, so that they rise where the
    paper's outputs fall. The vertical line is at norm 5, where anomalies begin; the dotted one is
    the threshold that keeps 95 % of the calibration images.
    """

    info = Info(
        name="outputs-by-norm",
        title="Confidence and score by norm",
        summary="Mean confidence and score by the norm of the seed, a line for each class.",
        paper=PAPER,
        deviations=("Scores have the sign of oodbench: larger is more likely OOD.",),
    )
    numbers = (5, 12)
    needs = "a generator, the detectors that use it and the classifier in the store"

    def draw(self, run: RunView) -> dict[str, Picture]:
        """Return a picture for the critic and for each detector that uses the generator."""
        from oodbench_ganad.figures.sampling import PART, Sampler

        sampler = Sampler.of(run)
        judges: dict[str, Callable[[Tensor], np.ndarray]] = {
            CRITIC: lambda images: _criticise(sampler, run, images)
        }
        limits = {}
        for detector in run.users_of(PART):
            if detector != CRITIC_DETECTOR:
                judges[detector] = functools.partial(run.score, detector)
                limits[detector] = run.threshold(detector)
        curves = measure(sampler, run, judges)
        return {name: _draw(curves, name, limits.get(name)) for name in judges}


@dataclass(frozen=True)
class Curves:
    """Means over seeds of one class each.

    Attributes:
        norms: (m,).
        confidence: by class, (m,).
        scores: by judge, then by class, (m,).
    """

    norms: np.ndarray
    confidence: Sequence[np.ndarray]
    scores: Mapping[str, Sequence[np.ndarray]]


def measure(
    sampler: Sampler, run: RunView, judges: Mapping[str, Callable[[Tensor], np.ndarray]]
) -> Curves:
    """Judge images of growing seeds, class by class.

    Args:
        sampler: makes the images; of this run or another.
        run: whose classifier and geometry are used.
        judges: from images (n, c, h, w) to scores (n,).
    """
    from oodbench_ganad.figures.sampling import norms_up_to_largest

    norms = norms_up_to_largest(STEP)
    directions = sampler.directions(DIRECTIONS)
    confidence: list[np.ndarray] = []
    scores: dict[str, list[np.ndarray]] = {name: [] for name in judges}
    for label in range(sampler.num_classes):
        images = run.fitted(sampler.grown(directions, norms, label).flatten(0, 1))
        shape = (DIRECTIONS, len(norms))
        confidence.append(run.classify(images).confidence.reshape(shape).mean(axis=0))
        for name, judge in judges.items():
            scores[name].append(judge(images).reshape(shape).mean(axis=0))
    return Curves(norms.numpy(), confidence, scores)


def _criticise(sampler: Sampler, run: RunView, images: Tensor) -> np.ndarray:
    """Return -D(x, C(x)) of equation (11) for the critic D: (n, c, h, w) to (n,)."""
    import torch

    classes = torch.from_numpy(run.classify(images).logits.argmax(axis=1))
    with torch.inference_mode():
        values: Tensor = sampler.wgan.critic_(images, classes)
    return -values.double().numpy()


def _draw(curves: Curves, name: str, limit: float | None) -> Picture:
    from matplotlib.figure import Figure as Picture

    picture = Picture(figsize=(COLUMN_WIDTH, 3.6), layout="constrained")
    upper, lower = picture.subplots(2, 1, sharex=True)
    draw_classes(upper, curves.norms, curves.confidence)
    draw_classes(lower, curves.norms, curves.scores[name])
    upper.set(ylabel="confidence of the classifier", ylim=(None, 1.02))
    lower.set(ylabel=f"score of {plain_label(name)}", xlabel="Chebyshev norm of the seed")
    upper.set_title("(a)", loc="left")
    lower.set_title("(b)", loc="left")
    if limit is not None:
        draw_threshold(lower, limit)
    add_legend(picture, upper)
    return picture


def draw_classes(axes: Axes, norms: np.ndarray, lines: Iterable[np.ndarray]) -> None:
    """Draw a line (m,) for each class, and the border between fakes and anomalies."""
    from oodbench_ganad.seeds import FAKE_NORM

    for label, line in enumerate(lines):
        style = DASHES[label // 5 % len(DASHES)]
        axes.plot(norms, line, color=f"C{label % 10}", linestyle=style, label=f"{label}")
    axes.axvline(FAKE_NORM, color="black", linewidth=0.5)
    axes.set_xlim(norms[0], norms[-1])


def draw_threshold(axes: Axes, limit: float) -> None:
    """Draw the score above which images are rejected."""
    axes.axhline(limit, color="black", linestyle=":", linewidth=0.7)
    axes.annotate(
        "keeps 95 % of calibration images",
        (1, limit),
        xycoords=("axes fraction", "data"),
        xytext=(0, 1),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=5,
    )


def add_legend(picture: Picture, axes: Axes) -> None:
    """Put the names of the classes above a picture."""
    handles, labels = axes.get_legend_handles_labels()
    picture.legend(
        handles, labels, loc="outside upper center", ncols=5, title="class", title_fontsize=6
    )
