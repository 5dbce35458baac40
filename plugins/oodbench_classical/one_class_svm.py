"""One-class SVM: the distance to a boundary around the training images."""

from __future__ import annotations

from typing import Any, ClassVar

from oodbench.contracts import Info, InvalidParameter, Paper
from oodbench_classical.adapter import Classical, check_count


class OneClassSvm(Classical):
    """Score by how far outside of a boundary around the training images the features are.

    s(x) = -sum_i a_i exp(-g |z - z_i|^2), where z are the penultimate features, z_i those of the
    support vectors among the training images, and a_i their coefficients.

    Args:
        outside: share of the training images that may be outside, in (0, 1].
        gamma: g, greater than 0; None takes 1 over the number of features times their variance.
        sample: training images at most, since the time that fitting takes grows with their square.

    Raises:
        InvalidParameter: if the share is not in (0, 1], gamma not greater than 0, or the sample
            less than 1.
    """

    info = Info(
        name="one-class-svm",
        title="One-class SVM",
        summary="Features outside of a boundary around those of training images",
        paper=Paper(
            title="Estimating the Support of a High-Dimensional Distribution",
            authors="Schölkopf et al.",
            venue="Neural Computation",
            year=2001,
            url="https://doi.org/10.1162/089976601750264965",
        ),
        deviations=("Fitted on 5,000 of the training images by default.",),
    )
    space: ClassVar = {"outside": (0.01, 0.05, 0.1, 0.5), "gamma": (None, 0.01, 0.1)}

    def __init__(
        self, *, outside: float = 0.1, gamma: float | None = None, sample: int = 5_000
    ) -> None:
        if not 0 < outside <= 1:
            raise InvalidParameter(f"outside must be greater than 0 and at most 1, not {outside}")
        if gamma is not None and not gamma > 0:
            raise InvalidParameter(f"gamma must be greater than 0, not {gamma}")
        check_count("sample", sample)
        self.outside = outside
        self.gamma = gamma
        self.sample = sample

    def estimator(self) -> Any:
        """Return a new estimator of scikit-learn."""
        from sklearn import svm

        return svm.OneClassSVM(nu=self.outside, gamma=self.gamma or "scale")
