"""Elliptic envelope: the distance to the centre of a robustly fitted Gaussian."""

from __future__ import annotations

from typing import Any, ClassVar

from oodbench.contracts import Info, InvalidParameter, Paper
from oodbench_classical.adapter import RANDOM_STATE, Parametric, check_count


class EllipticEnvelope(Parametric):
    """Score by the Mahalanobis distance to the centre of most training images.

    s(x) = (z - m)' S^-1 (z - m), where z are the penultimate features, and m and S are the mean and
    covariance of those training images, a share of all, whose covariance has the least
    determinant. Directions in which no training image varies do not count.

    Args:
        support: the share, in (0.5, 1]; the smaller, the more training images may be outliers.
        sample: training images at most.

    Raises:
        InvalidParameter: if the share is not in (0.5, 1] or the sample less than 1.
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
        deviations=(
            "The support is 90 % of the training images, not about half: the features of the "
            "classes are apart from each other, and all of them are ID.",
            "Fitted on 2,000 of the training images by default.",
        ),
    )
    space: ClassVar = {"support": (0.6, 0.75, 0.9, 1.0)}
    learned: ClassVar = ("location_", "precision_")

    def __init__(self, *, support: float = 0.9, sample: int = 2_000) -> None:
        if not 0.5 < support <= 1:
            raise InvalidParameter(f"support must be greater than 0.5 and at most 1, not {support}")
        check_count("sample", sample)
        self.support = support
        self.sample = sample

    def estimator(self) -> Any:
        """Return a new estimator of scikit-learn."""
        from sklearn import covariance

        return covariance.EllipticEnvelope(support_fraction=self.support, random_state=RANDOM_STATE)
