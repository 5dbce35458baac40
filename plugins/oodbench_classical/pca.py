"""PCA: the error of reconstructing the features from principal components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from oodbench.contracts import Info, InvalidParameter
from oodbench_classical.adapter import RANDOM_STATE, Parametric, check_count

if TYPE_CHECKING:
    import numpy as np


class PrincipalComponents(Parametric):
    """Score by the error of the reconstruction from principal components.

    s(x) = |(z - m) - V'V (z - m)|^2, where z are the penultimate features, m their mean over the
    training images, and V the directions in which these vary most.

    Args:
        variance: share of the variance of the training images that V explains, in (0, 1).
        sample: training images at most.

    Raises:
        InvalidParameter: if the share is not in (0, 1) or the sample less than 1.
    """

    info = Info(
        name="pca",
        title="PCA",
        summary="Large error of reconstructing the features from principal components",
    )
    space: ClassVar = {"variance": (0.5, 0.8, 0.9, 0.95, 0.99)}
    learned: ClassVar = ("mean_", "components_")

    def __init__(self, *, variance: float = 0.9, sample: int = 50_000) -> None:
        if not 0 < variance < 1:
            raise InvalidParameter(f"variance must be greater than 0 and less than 1: {variance}")
        check_count("sample", sample)
        self.variance = variance
        self.sample = sample

    def estimator(self) -> Any:
        """Return a new estimator of scikit-learn."""
        from sklearn import decomposition

        return decomposition.PCA(self.variance, random_state=RANDOM_STATE)

    def judge(self, estimator: Any, features: np.ndarray) -> np.ndarray:
        """Return the squared error of the reconstruction of features (n, d): (n,), at least 0."""
        centred = features - estimator.mean_
        rest = centred - centred @ estimator.components_.T @ estimator.components_
        error: np.ndarray = (rest**2).sum(axis=1)
        return error
