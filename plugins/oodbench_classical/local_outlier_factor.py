"""Local outlier factor: the density of the features relative to that of their neighbours."""

from __future__ import annotations

from typing import Any, ClassVar

from oodbench.contracts import Info, InvalidParameter, Paper
from oodbench_classical.adapter import Classical, check_count


class LocalOutlierFactor(Classical):
    """Score by how much sparser training images are around an image than around its neighbours.

    s(x) = mean over the k nearest training images of the ratio of their local reachability density
    to that of x, by Euclidean distances of penultimate features.

    Args:
        neighbours: k.
        sample: training images at most; more of them than neighbours.

    Raises:
        InvalidParameter: if the neighbours are less than 1, or not fewer than the sample.
    """

    info = Info(
        name="local-outlier-factor",
        title="LOF",
        summary="Features in a sparser place than those of the nearest training images",
        paper=Paper(
            title="LOF: Identifying Density-Based Local Outliers",
            authors="Breunig et al.",
            venue="SIGMOD",
            year=2000,
            url="https://doi.org/10.1145/342009.335388",
        ),
        deviations=("Compares with 10,000 of the training images by default.",),
    )
    space: ClassVar = {"neighbours": (5, 10, 20, 50, 100)}

    def __init__(self, *, neighbours: int = 20, sample: int = 10_000) -> None:
        check_count("neighbours", neighbours)
        check_count("sample", sample)
        if neighbours >= sample:
            raise InvalidParameter(
                f"neighbours ({neighbours}) must be fewer than the sample ({sample})"
            )
        self.neighbours = neighbours
        self.sample = sample

    def least_images(self) -> int:
        """Return one more than there are neighbours: an image is no neighbour of its own."""
        return self.neighbours + 1

    def estimator(self) -> Any:
        """Return a new estimator of scikit-learn."""
        from sklearn import neighbors

        return neighbors.LocalOutlierFactor(n_neighbors=self.neighbours, novelty=True)
