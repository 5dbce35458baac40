"""Images of the generator beside ID images, and what the classifier makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodbench.contracts import COLUMN_WIDTH, Figure, Info, RunView, plain_label
from oodbench_ganad.detector import PAPER

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure as Picture
    from torch import Tensor

    from oodbench_ganad.figures.sampling import Sampler
    from oodbench_ganad.quality import Quality

PER_CLASS = 10
"""Images of a class, a line of a picture."""

MEASURED = 5_000
"""Images that the quality is measured on, or half as many as there are ID test images."""


class Samples(Figure):
    """ID images, fakes and near anomalies, a line for each class, with the quality of the fakes."""

    info = Info(
        name="generator-samples",
        title="Images of the generator",
        summary="ID images, fakes and near anomalies by class, with accuracy and Fréchet distance.",
        paper=PAPER,
        deviations=("The paper does not show them, and measures no quality.",),
    )
    needs = "a generator in the store"

    def draw(self, run: RunView) -> dict[str, Picture]:
        """Return ID images, fakes and near anomalies, each as a picture."""
        import torch

        from oodbench_ganad import seeds
        from oodbench_ganad.figures.sampling import Sampler

        sampler = Sampler.of(run)
        lines, count = sampler.num_classes, PER_CLASS * sampler.num_classes
        classes = torch.arange(lines).repeat_interleave(PER_CLASS)
        draws = torch.Generator().manual_seed(0)
        length, norms = sampler.seed_length, seeds.TEST_ANOMALY_NORMS
        fakes = sampler.images(seeds.draw_fakes(count, length, draws), classes)
        anomalies = sampler.images(seeds.draw_norms(count, length, norms, draws), classes)
        return {
            "id": _draw(by_class(*run.train_images(MEASURED), lines), plain_label(run.id_dataset)),
            "fakes": _draw(fakes.unflatten(0, (lines, -1)), describe(quality_of(run, sampler))),
            "anomalies": _draw(anomalies.unflatten(0, (lines, -1)), "near anomalies, norm 6-7"),
        }


def _draw(lines: Tensor, title: str) -> Picture:
    """Draw lines of images, (rows, columns, c, h, w)."""
    from matplotlib.figure import Figure as Picture

    from oodbench_ganad.figures.growth import tiled

    mosaic = tiled(lines)
    height = COLUMN_WIDTH * mosaic.shape[0] / mosaic.shape[1]
    picture = Picture(figsize=(COLUMN_WIDTH, height + 0.4), layout="constrained")
    axes = picture.subplots()
    shown = mosaic.squeeze(2) if mosaic.shape[2] == 1 else mosaic
    axes.imshow(shown.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(title)
    axes.set_axis_off()
    return picture


def quality_of(run: RunView, sampler: Sampler) -> Quality:
    """Measure the run's fakes against as many ID test images."""
    import torch

    from oodbench_ganad import seeds
    from oodbench_ganad.quality import measure

    real = run.outputs(run.id_dataset).features
    count = min(MEASURED, len(real) // 2)  # as many as are in a half of the ID images
    classes = torch.arange(count) % sampler.num_classes
    draws = torch.Generator().manual_seed(1)
    fakes = run.classify(
        sampler.images(seeds.draw_fakes(count, sampler.seed_length, draws), classes)
    )
    return measure(fakes.logits, classes.numpy(), fakes.features, real)


def describe(quality: Quality) -> str:
    """Return the quality as two lines of text."""
    return (
        f"fakes: {quality.accuracy:.1%} classified as made for\n"
        f"Fréchet distance {quality.distance:.3g} (between ID images: {quality.floor:.3g})"
    )


def by_class(images: Tensor, labels: np.ndarray, classes: int) -> Tensor:
    """Return the first images of each class, white where there are none: (k, 10, c, h, w)."""
    import torch

    lines = torch.ones(classes, PER_CLASS, *images.shape[1:])
    for label in range(classes):
        found = images[torch.from_numpy(labels == label)][:PER_CLASS]
        lines[label, : len(found)] = found
    return lines
