"""The classifier's features on a plane, by UMAP (McInnes et al., JOSS 2018)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from oodbench.contracts import FeatureMap
from oodbench.errors import FigureUnavailable

NEIGHBOURS = 15
"""UMAP's default number of neighbours; all images if there are fewer."""

EPOCHS = 200
"""UMAP's default for more than 10,000 images; its 500 for fewer take minutes and change little."""


def map_features(features: np.ndarray, labels: np.ndarray) -> FeatureMap:
    """Return the map of images by their features, always the same for the same features.

    Args:
        features: (n, d) float32, n >= 4.
        labels: (n,) int64.

    Raises:
        FigureUnavailable: if umap-learn is not installed.
    """
    umap = _umap()
    reducer = umap.UMAP(
        n_neighbors=min(NEIGHBOURS, len(features) - 1), n_epochs=EPOCHS, random_state=0, n_jobs=1
    )
    points = reducer.fit_transform(features)

    def place(others: np.ndarray) -> np.ndarray:
        placed: np.ndarray = reducer.transform(others)
        return placed

    return FeatureMap(points, labels, place)


def _umap() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it misses TensorFlow, which nothing here uses
            import umap
    except ImportError as error:
        raise FigureUnavailable(
            "umap-learn is not installed; the extra 'plots' has it, or: pip install umap-learn"
        ) from error
    return umap
