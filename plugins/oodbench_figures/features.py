"""The images of each data set in the classifier's feature space."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodbench.contracts import COLUMN_WIDTH, Figure, Info, RunView, plain_label
from oodbench_figures.panels import make_panels, some
from oodbench_figures.paper import PAPER

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture


class FeaturePlane(Figure):
    """The penultimate features on a plane, by UMAP.

    The plane is made of ID training images alone; OOD images are placed on it afterwards.
    """

    info = Info(
        name="features",
        title="Features by UMAP",
        summary="The classifier's features of ID training images, and where OOD sets fall.",
        paper=PAPER,
        deviations=("The plane is fitted on 3,000 training images, drawn with seed 0.",),
    )
    numbers = (13, 16)
    needs = "classifier, training images and outputs in the store, and the extra 'plots'"

    def draw(self, run: RunView) -> dict[str, Picture]:
        """Return the training images, and the OOD sets among them."""
        return {"train": _draw_training(run), "ood": _draw_ood(run)}


def _draw_training(run: RunView) -> Picture:
    from matplotlib.figure import Figure as Picture

    picture = Picture(figsize=(COLUMN_WIDTH, 3.0), layout="constrained")
    axes = picture.subplots()
    run.feature_map().draw_on(axes, coloured=True)
    axes.set_xlabel(f"UMAP of features, {plain_label(run.id_dataset)} training images by class")
    return picture


def _draw_ood(run: RunView) -> Picture:
    feature_map = run.feature_map()
    picture, panels = make_panels(len(run.ood_datasets), height=1.6, shared=True)
    for number, (panel, dataset) in enumerate(zip(panels, run.ood_datasets, strict=True)):
        feature_map.draw_on(panel)
        features = run.outputs(dataset).features
        points = feature_map.place(features[some(len(features))])
        x, y = points.T
        panel.scatter(x, y, s=2, color=f"C{number % 10}", alpha=0.6, linewidths=0, rasterized=True)
        panel.set_title(plain_label(dataset), pad=2)
    known = plain_label(run.id_dataset)
    picture.supxlabel(f"UMAP of features; grey: {known} training images", fontsize=7)
    return picture
