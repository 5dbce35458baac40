"""Mahalanobis++: the Mahalanobis distance of features of length 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodbench.contracts import Batch, Info, Paper
from oodbench_posthoc.knn import directions
from oodbench_posthoc.mahalanobis import Mahalanobis

if TYPE_CHECKING:
    from torch import Tensor


class UnitLength:
    """Read features scaled to length 1, before the detector that it is mixed into.

    The length of the features varies between classes and images, which a Gaussian does not
    describe. Features that are all 0 stay as they are.
    """

    def read(self, batch: Batch) -> Tensor:
        """Return the features scaled to length 1: (n, d) float64."""
        return directions(batch.features.double())


class NormalisedMahalanobis(UnitLength, Mahalanobis):
    """Score as `Mahalanobis` does, by features that are scaled to length 1."""

    info = Info(
        name="mahalanobis-pp",
        title="Mahalanobis++",
        summary="Large Mahalanobis distance of the features, at length 1, to the nearest class",
        paper=Paper(
            title="Mahalanobis++: Improving OOD Detection via Feature Normalization",
            authors="Mueller and Hein",
            venue="ICML",
            year=2025,
            url="https://arxiv.org/abs/2505.18032",
        ),
    )
