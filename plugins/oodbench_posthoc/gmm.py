"""Score by the likelihood of a Gaussian for each class."""

from __future__ import annotations

from typing import ClassVar

from oodbench.contracts import Info
from oodbench_posthoc.adapter import FeaturesAdapter
from oodbench_posthoc.checks import check_positive


class ClassGaussians(FeaturesAdapter):
    """Score by how unlikely the features are under one Gaussian for each class.

    s(x) = -log sum_y p_y N(z; m_y, S_y), where z are the penultimate features, and p_y, m_y and S_y
    are the share, the mean and the covariance of the training images of class y.

    Args:
        regularization: added to the diagonals of the covariances; greater than 0.

    Raises:
        InvalidParameter: if it is not a number greater than 0.
    """

    original = "GMM"
    renamed: ClassVar = {"reg": "regularization"}
    by_class = True
    info = Info(
        name="gmm",
        title="GMM",
        summary="Low likelihood of the features under a Gaussian for each class",
    )

    def __init__(self, *, regularization: float = 1e-6) -> None:
        check_positive("regularization", regularization)
        self.regularization = regularization
