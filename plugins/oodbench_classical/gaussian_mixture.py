"""Gaussian mixture: the likelihood under a mixture of Gaussians."""

from __future__ import annotations

from typing import Any, ClassVar

from oodbench.contracts import Info, InvalidParameter
from oodbench_classical.adapter import RANDOM_STATE, Parametric, check_count


class GaussianMixture(Parametric):
    """Score by how unlikely the features are under a mixture of Gaussians.

    s(x) = -log sum_j p_j N(z; m_j, S_j), where z are the penultimate features, and the shares p_j,
    means m_j and covariances S_j are those under which the training images are most likely, by
    expectation maximisation; no class label takes part.

    Args:
        components: number of Gaussians.
        sample: training images at most.

    Raises:
        InvalidParameter: if one of them is less than 1, or there are more components than images.
    """

    info = Info(
        name="gaussian-mixture",
        title="Gaussian mixture",
        summary="Low likelihood of the features under a mixture of Gaussians",
    )
    space: ClassVar = {"components": (1, 5, 10, 20)}
    learned: ClassVar = ("weights_", "means_", "precisions_cholesky_")

    def __init__(self, *, components: int = 10, sample: int = 10_000) -> None:
        check_count("components", components)
        check_count("sample", sample)
        if components > sample:
            raise InvalidParameter(
                f"components ({components}) must not be more than the sample ({sample})"
            )
        self.components = components
        self.sample = sample

    def least_images(self) -> int:
        """Return the number of components."""
        return self.components

    def estimator(self) -> Any:
        """Return a new estimator of scikit-learn."""
        from sklearn import mixture

        return mixture.GaussianMixture(self.components, random_state=RANDOM_STATE)
