"""The map of features keeps classes together, and places others beside their like."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from oodbench.errors import FigureUnavailable
from oodbench.plot.features import map_features


def two_classes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features (count, 8) around two distant points, and classes."""
    labels = np.arange(count) % 2
    noise = np.random.default_rng(0).normal(size=(count, 8))
    return (noise + 20 * labels[:, None]).astype(np.float32), labels


def test_without_umap_the_reason_names_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(FigureUnavailable, match="pip install umap-learn"):
        map_features(*two_classes(20))


@pytest.mark.slow  # UMAP compiles itself for a minute
def test_images_are_placed_beside_those_of_their_class() -> None:
    pytest.importorskip("umap", exc_type=ImportError)
    features, labels = two_classes(60)
    found = map_features(features, labels)
    placed = found.place(features[:2] + 0.1)
    middles = np.array([found.points[labels == label].mean(axis=0) for label in (0, 1)])
    distances = np.linalg.norm(placed[:, None] - middles[None], axis=2)
    assert found.points.shape == (60, 2)
    assert distances.argmin(axis=1).tolist() == [0, 1]
