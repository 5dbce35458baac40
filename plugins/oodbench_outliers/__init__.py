"""Outliers made of ID training images, to tune detectors against; no download."""

from collections.abc import Sequence

from oodbench.contracts import Dataset, hookimpl
from oodbench_outliers.made import Inverted, Jigsaw, Mixed


@hookimpl
def oodbench_datasets() -> Sequence[type[Dataset]]:
    """Return the data set classes."""
    return (Mixed, Jigsaw, Inverted)
