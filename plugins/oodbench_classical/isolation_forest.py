"""Isolation forest: how few random splits isolate the features."""

from __future__ import annotations

from typing import Any, ClassVar

from oodbench.contracts import Info, Paper
from oodbench_classical.adapter import RANDOM_STATE, Classical, check_count


class IsolationForest(Classical):
    """Score by how few random splits it takes to set an image's features apart.

    s(x) = 2^(-h(z) / c), in (0, 1), where z are the penultimate features, h(z) is the depth at
    which random trees isolate them, on average, and c is the depth to expect.

    Args:
        trees: number of trees.
        sample: training images to draw each tree's 256 from, at most.

    Raises:
        InvalidParameter: if one of them is less than 1.
    """

    info = Info(
        name="isolation-forest",
        title="Isolation forest",
        summary="Features that few random splits set apart from those of training images",
        paper=Paper(
            title="Isolation Forest",
            authors="Liu et al.",
            venue="ICDM",
            year=2008,
            url="https://doi.org/10.1109/ICDM.2008.17",
        ),
        deviations=("Draws the same trees for every seed.",),
    )
    space: ClassVar = {"trees": (50, 100, 200, 400)}

    def __init__(self, *, trees: int = 100, sample: int = 10_000) -> None:
        check_count("trees", trees)
        check_count("sample", sample)
        self.trees = trees
        self.sample = sample

    def estimator(self) -> Any:
        """Return a new estimator of scikit-learn."""
        from sklearn import ensemble

        return ensemble.IsolationForest(n_estimators=self.trees, random_state=RANDOM_STATE)
