"""Images of growing seeds among the classifier's features (Figures 15 and 16b)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oodbench.contracts import COLUMN_WIDTH, FeatureMap, Figure, Info, RunView
from oodbench_ganad.detector import PAPER
from oodbench_ganad.figures.growth import PATH_CLASS, PATH_STEP, PATHS

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture

    from oodbench_ganad.figures.sampling import Sampler

NEAR_NORMS = (6.0, 7.0)
"""Norms of the near anomalies that the paper tests with."""

NEAR = 1_000
"""Near anomalies that are shown."""


class FeaturePaths(Figure):
    """Paths of growing seeds, and near anomalies of one class, on the map of features."""

    info = Info(
        name="feature-paths",
        title="Growing seeds among the features",
        summary="Where images of growing seeds and near anomalies fall among the features.",
        paper=PAPER,
    )
    numbers = (15, 16)
    needs = "generator, classifier and training images in the store, and the extra 'plots'"

    def draw(self, run: RunView) -> dict[str, Picture]:
        """Return the paths, and the near anomalies."""
        from oodbench_ganad.figures.sampling import Sampler

        sampler, feature_map = Sampler.of(run), run.feature_map()
        return {
            "growing": _draw_paths(sampler, run, feature_map),
            "near-anomalies": _draw_near(sampler, run, feature_map),
        }


def _draw_paths(sampler: Sampler, run: RunView, feature_map: FeatureMap) -> Picture:
    from matplotlib.figure import Figure as Picture

    from oodbench_ganad.figures.sampling import LARGEST_NORM, norms_up_to_largest

    label = min(PATH_CLASS, run.num_classes - 1)
    norms = norms_up_to_largest(PATH_STEP)
    images = sampler.grown(sampler.directions(PATHS), norms, label).flatten(0, 1)
    points = feature_map.place(run.classify(images).features).reshape(PATHS, len(norms), 2)
    picture = Picture(figsize=(COLUMN_WIDTH, 3.1), layout="constrained")
    axes = picture.subplots()
    feature_map.draw_on(axes)
    for number, path in enumerate(points):
        style: dict[str, Any] = {"color": f"C{number}", "marker": MARKERS[number], "markersize": 2}
        axes.plot(*path.T, linestyle="-", linewidth=0.6, label=f"seed {number + 1}", **style)
        axes.plot(*path[-1], markeredgecolor="black", **style | {"markersize": 6})
    axes.plot(*points[0, 0], marker="*", markersize=9, color="black", linestyle="none")
    axes.set_xlabel(
        f"UMAP of features; seeds of class {label} from norm 0 (star) to {LARGEST_NORM} (large)"
    )
    axes.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1))
    return picture


MARKERS = ("o", "s", "^", "D", "v")


def _draw_near(sampler: Sampler, run: RunView, feature_map: FeatureMap) -> Picture:
    import torch
    from matplotlib.figure import Figure as Picture

    from oodbench_ganad import seeds

    label = min(PATH_CLASS, run.num_classes - 1)
    directions = sampler.directions(NEAR)
    sizes = torch.linspace(*NEAR_NORMS, NEAR)
    images = sampler.images(seeds.rescale(directions, sizes), torch.full((NEAR,), label))
    points = feature_map.place(run.classify(images).features)
    picture = Picture(figsize=(COLUMN_WIDTH, 3.0), layout="constrained")
    axes = picture.subplots()
    feature_map.draw_on(axes)
    x, y = points.T
    axes.scatter(x, y, s=2, color="C2", alpha=0.6, linewidths=0, rasterized=True)
    axes.set_xlabel(f"UMAP of features; near anomalies of class {label} (norm 6 to 7) in red")
    return picture
