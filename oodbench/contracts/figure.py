"""The contract of a figure, and the view of a finished run that it is drawn from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from oodbench.contracts.detector import Trainable
from oodbench.contracts.info import Info
from oodbench.errors import FigureUnavailable, one_line

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture
    from matplotlib.transforms import Transform
    from torch import Tensor

COLUMN_WIDTH = 3.4
"""Width of a paper's column in inches; pictures of this width are legible there."""


LONGEST_LABEL = 24
"""Letters of a name in a picture."""


def plain_label(name: str) -> str:
    """Return a name for a picture: shortened in its middle, and with no formula to be read in it.

    Args:
        name: any text.
    """
    name = one_line(name)
    if len(name) > LONGEST_LABEL:
        kept = LONGEST_LABEL // 2
        name = f"{name[: kept - 1]}…{name[-kept:]}"
    return name.replace("$", r"\$")


def score_range(id_scores: np.ndarray, *others: np.ndarray) -> tuple[float, float]:
    """Return the smallest and the largest score to show; those beyond are drawn at the edge.

    The ID scores fill at least a quarter of the range, so that neither a single outlier nor a far
    OOD set presses all others into a line.

    Args:
        id_scores: (n,) scores of the ID images.
        others: scores of OOD sets, (m,) each.
    """
    import numpy as np

    sets = [np.quantile(scores, [0.005, 0.995]) for scores in (id_scores, *others)]
    low, high = (float(end) for end in sets[0])
    width = (high - low) or float(np.ptp(id_scores)) or 1.0
    lowest = max(min(float(each[0]) for each in sets), low - 1.5 * width)
    highest = min(max(float(each[1]) for each in sets), high + 3 * width)
    margin = 0.02 * (highest - lowest) or 1.0
    return lowest - margin, highest + margin


@dataclass(frozen=True)
class Outputs:
    """The classifier's outputs for images.

    Attributes:
        labels: (n,) int64, the true classes; -1 where there are none.
        logits: (n, k) float32.
        features: (n, d) float32, the penultimate features.
    """

    labels: np.ndarray
    logits: np.ndarray
    features: np.ndarray

    def __len__(self) -> int:
        return len(self.logits)

    @property
    def confidence(self) -> np.ndarray:
        """Return the largest softmax probability of each image, (n,) float64 in [1/k, 1]."""
        import numpy as np

        logits = self.logits.astype(np.float64)
        others = np.exp(logits - logits.max(axis=1, keepdims=True))
        largest: np.ndarray = 1 / others.sum(axis=1)
        return largest


@dataclass(frozen=True)
class FeatureMap:
    """A plane on which images with similar features of the classifier lie close to each other.

    Attributes:
        points: (n, 2) float32, where the ID training images lie that it was made of.
        labels: (n,) int64, their classes.
        place: returns where images lie: features (m, d) float32 to (m, 2) float32.
    """

    points: np.ndarray
    labels: np.ndarray
    place: Callable[[np.ndarray], np.ndarray]

    def draw_on(self, axes: Axes, *, coloured: bool = False) -> None:
        """Draw the training images as points, and the number of each class above its own.

        Args:
            axes: what to draw on; ticks are removed, since the units of the plane mean nothing.
            coloured: whether classes have colours; grey, as a background, if not.
        """
        import numpy as np
        from matplotlib.patheffects import withStroke

        colours = [f"C{label % 10}" for label in self.labels] if coloured else "0.8"
        x, y = self.points.T
        axes.scatter(x, y, s=1, c=colours, linewidths=0, rasterized=True)
        for label in np.unique(self.labels):
            members = self.points[self.labels == label]
            axes.annotate(
                str(label),
                (np.median(members[:, 0]), np.quantile(members[:, 1], 0.98)),
                xytext=(0, 1),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=6,
                weight="bold",
                path_effects=[withStroke(linewidth=1, foreground="white")],
            )
        axes.margins(y=0.1)  # room for the number of the topmost class
        axes.set(xticks=[], yticks=[])


@dataclass(frozen=True)
class MeanRanks:
    """The ranks of detectors by their AUROC over several OOD sets, and their uncertainty.

    Attributes:
        names: d detectors.
        ranks: (d,) float64, their mean ranks over the sets; 1 is best.
        p_value: of Friedman's test, that all detectors are alike.
        difference: Nemenyi's critical difference of two mean ranks at 5 %.
        sets: number of OOD sets.
    """

    names: Sequence[str]
    ranks: np.ndarray
    p_value: float
    difference: float
    sets: int

    def describe(self) -> str:
        """Return the message of the diagram, in two sentences."""
        shown = "< 0.0001" if self.p_value < 1e-4 else f"= {self.p_value:.2g}"
        if self.p_value < 0.05:
            found = f"The detectors differ over the {self.sets} OOD sets"
        else:
            found = f"Over the {self.sets} OOD sets no difference of the detectors is supported"
        if self.undecidable:
            pairs = (
                f"No two of {len(self.names)} detectors can differ significantly on so few sets: "
                f"the critical difference, {self.difference:.2f} (Nemenyi's test at 5 %), exceeds "
                f"the largest possible one, {len(self.names) - 1}."
            )
        else:
            pairs = (
                f"A bar joins detectors whose mean ranks are at most {self.difference:.2f} apart, "
                "which is not significant at 5 % (Nemenyi's test)."
            )
        return f"{found} (Friedman's test, p {shown}). {pairs}"

    @property
    def undecidable(self) -> bool:
        """Return whether no two mean ranks can be far enough apart to be significant."""
        return self.difference > len(self.names) - 1

    def draw_on(self, axes: Axes) -> None:
        """Draw the critical-difference diagram (Demsar, JMLR 2006, section 3.2.4).

        Raises:
            FigureUnavailable: if scikit-posthocs is not installed.
        """
        import numpy as np
        import pandas as pd

        try:
            from scikit_posthocs import critical_difference_diagram
        except ImportError as error:
            raise FigureUnavailable(
                "The critical-difference diagram needs scikit-posthocs: the extra 'plots' has "
                "it, or pip install scikit-posthocs."
            ) from error
        count = len(self.names)
        numbers = range(count)  # their order in a set is the same every time
        margin = 0.04 * (count - 1)
        apart = np.abs(self.ranks[:, None] - self.ranks) > self.difference
        drawn = critical_difference_diagram(
            dict(zip(numbers, self.ranks, strict=True)),
            pd.DataFrame(np.where(apart, 0.0, 1.0), numbers, numbers),
            ax=axes,
            text_h_margin=margin,
            label_fmt_left="{label}",
            label_fmt_right="{label}",
            elbow_props={"color": "0.25", "linewidth": 0.8, "linestyle": "-"},
            marker_props={"s": 9},
            crossbar_props={"linewidth": 1.8, "linestyle": "-"},
        )
        for text in drawn["labels"]:
            number = int(text.get_text())
            parts = (plain_label(self.names[number]), f"{self.ranks[number]:.2f}")
            left = text.get_ha() == "right"
            text.set_text(" ".join(parts if left else reversed(parts)))
            text.set_transform(_moved(axes, x=-3 if left else 3))  # a gap beside its line
        axes.set_xlim(1 - margin, max(count + margin, 1 + self.difference))
        axes.set_xticks(range(1, count + 1, -(-count // 8)))
        axes.spines["top"].set(visible=True, bounds=(1, count))
        self._draw_difference(axes)

    def _draw_difference(self, axes: Axes) -> None:
        """Draw the critical difference as a bar above the axis of ranks, from rank 1 on."""
        from matplotlib import rcParams
        from matplotlib.lines import Line2D

        letter = rcParams["font.size"]
        end = 1 + self.difference
        place = _moved(axes, y=2.4 * letter)
        bar = Line2D([1, end], [0, 0], color="black", marker="|", linewidth=1.2, linestyle="-")
        bar.set(transform=place, clip_on=False)
        axes.add_artist(bar)
        said = f"critical difference of mean ranks {self.difference:.2f}"
        if self.undecidable:
            said += ", which no two can reach"
        axes.text(
            *((1 + end) / 2, 0, said),
            transform=_moved(axes, y=3 * letter),
            ha="center",
            va="bottom",
        )


def _moved(axes: Axes, *, x: float = 0, y: float = 0) -> Transform:
    """Return the transformation of data to places that are some points beside them."""
    from matplotlib.transforms import ScaledTranslation

    return axes.transData + ScaledTranslation(x / 72, y / 72, axes.figure.dpi_scale_trans)


class RunView(ABC):
    """A finished run, and its fitted networks as far as they are still in the store.

    Of several classifiers and seeds, networks and outputs are those of the first. If something is
    unavailable, `FigureUnavailable` is raised with the reason, which a figure need not catch.

    Attributes:
        info: the content of ``run.json``.
        records: the records (`oodbench.results.columns.RECORD`).
        id_dataset: what tables call the ID set.
        ood_datasets: what tables call the OOD sets, in their order.
        detectors: the detectors that failed nowhere, in the order of the tables.
        other: a second run to compare with, if the user named one.
    """

    info: Mapping[str, Any]
    records: pd.DataFrame
    id_dataset: str
    ood_datasets: Sequence[str]
    detectors: Sequence[str]
    other: RunView | None

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """(c, h, w) of the images."""

    @property
    @abstractmethod
    def num_classes(self) -> int:
        """Number of classes of the ID set."""

    @abstractmethod
    def scores(self, detector: str, dataset: str, split: str = "test") -> Sequence[np.ndarray]:
        """Return the scores of a detector, an array (n,) for each of its trainings.

        Args:
            detector: its name.
            dataset: the ID set or an OOD set.
            split: ``"test"``, or of the ID set ``"calibration"``.
        """

    @abstractmethod
    def threshold(self, detector: str, percent: int = 95) -> float:
        """Return the score that ``percent`` % of the calibration images do not exceed."""

    @abstractmethod
    def outputs(self, dataset: str, split: str = "test") -> Outputs:
        """Return the classifier's outputs for a data set, in the order of its scores."""

    @abstractmethod
    def train_images(self, count: int) -> tuple[Tensor, np.ndarray]:
        """Return ID training images, always the same ones, and their classes.

        Args:
            count: how many to return at most.

        Returns:
            (n, c, h, w) float32 in [0, 1], and (n,) int64.
        """

    @abstractmethod
    def classify(self, images: Tensor) -> Outputs:
        """Pass images, (n, c, h, w) float32 in [0, 1], through the classifier."""

    @abstractmethod
    def score(self, detector: str, images: Tensor) -> np.ndarray:
        """Score images, (n, c, h, w) float32 in [0, 1], by a detector: (n,)."""

    @abstractmethod
    def users_of(self, role: str) -> Sequence[str]:
        """Return the detectors that have a part named ``role`` (`Trainable.parts`)."""

    @abstractmethod
    def part(self, role: str) -> Trainable:
        """Return the fitted part named ``role`` of the first detector that has it."""

    @abstractmethod
    def fitted(self, images: Tensor) -> Tensor:
        """Return images of any geometry, float32 in [0, 1], fitted to that of the ID set."""

    @abstractmethod
    def mean_ranks(self) -> MeanRanks:
        """Return the ranks of the detectors over the OOD sets."""

    @abstractmethod
    def feature_map(self) -> FeatureMap:
        """Return the UMAP of ID training images; all figures of a run share it."""


class Figure(ABC):
    """One or several pictures drawn from a run.

    A class without parameters. Importing its module must not import matplotlib or torch.

    Attributes:
        info: name, title and summary; the paper, if it is a figure of one.
        numbers: which figures of that paper it draws.
        needs: what a run must have for it, in a few words that follow "needs".
    """

    info: ClassVar[Info]
    numbers: ClassVar[tuple[int, ...]] = ()
    needs: ClassVar[str] = "output folder of the run"

    @abstractmethod
    def draw(self, run: RunView) -> Mapping[str, Picture]:
        """Return pictures, `COLUMN_WIDTH` or twice that wide, by their names.

        The files are called as the figure, a hyphen and that, in lower case and without characters
        that file names lack; as the figure alone if it is empty.
        Fonts, line widths and ten colours that colour-blind readers can tell apart are set while
        it is called: "C0" to "C9".

        Raises:
            FigureUnavailable: if the run lacks what it needs; the message says what that is.
        """
