"""Sizes of features are told by set."""

from __future__ import annotations

import numpy as np
import pytest
from feature_norms import measured


def test_norm_flatness_and_auroc_of_features() -> None:
    id_features = np.full((3, 20), 2.0, dtype=np.float32)
    features = np.zeros((4, 20), dtype=np.float32)
    features[:, :2] = 1.0
    found = measured(features, id_features)
    assert found["norm"] == pytest.approx(2**0.5)
    assert found["sum over largest 5 %"] == pytest.approx(2.0)
    assert found["sum over largest 15 %"] == pytest.approx(1.0)
    assert found["AUROC of the norm"] == 100.0
    assert measured(id_features, id_features)["AUROC of the norm"] == 50.0
