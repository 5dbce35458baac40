"""Score by the distance to the centre of a Gaussian that is fitted robustly."""

from __future__ import annotations

from typing import Any, ClassVar

from oodbench.contracts import Info, Paper
from oodbench_classical.adapter import RANDOM_STATE, Parametric, check_count


class EllipticEnvelope(Parametric):
    """Score by the Mahalanobis distance to the centre of most training images.

    s(x) = (z - m)' S^-1 (z - m), where z are the penultimate features, and m and S are the mean and
    covariance of those training images, half of all, whose covariance has the least
    determinant. Directions in which no training image varies do not count.

    Args:
        sample: training images at most.

    Raises:
        InvalidParameter: if it is less than 1.
    """

    info = Info(
        name="elliptic-envelope",
        title="Elliptic envelope",
        summary="Large Mahalanobis distance of the features to the centre of most training images",
        paper=Paper(
            title="A Fast Algorithm for the Minimum Covariance Determinant Estimator",
            authors="Rousseeuw and Van Driessen",
            venue="Technometrics",
            year=1999,
            url="https://doi.org/10.1080/00401706.1999.10485670",
        ),
        deviations=("Fitted on 2,000 of the training images by default.",),
    )
    learned: ClassVar = ("location_", "precision_")

    def __init__(self, *, sample: int = 2_000) -> None:
        check_count("sample", sample)
        self.sample = sample

    def estimator(self) -> Any:
        """Return a new estimator of scikit-learn."""
        from sklearn import covariance

        return covariance.EllipticEnvelope(random_state=RANDOM_STATE)
