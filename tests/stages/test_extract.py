"""One pass through the classifier keeps all that detectors ask for, in float32."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stagework import Bench, Small, TwoClasses, array

from oodbench.stages.modules import load_classifier


def expected(images: np.ndarray, trained) -> tuple[torch.Tensor, torch.Tensor]:
    module = load_classifier(Small(), trained, "cpu")
    features = module.features(torch.from_numpy(images) / 255)
    return features, module.head(features)


def test_features_and_logits_are_those_of_the_network(bench: Bench, test, trained) -> None:
    made = bench.extract(test, trained)
    features, logits = expected(array(test, "images"), trained)
    assert array(made, "features").dtype == array(made, "logits").dtype == np.float32
    np.testing.assert_allclose(array(made, "features"), features, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(array(made, "logits"), logits, rtol=1e-5, atol=1e-6)
    assert made.meta == {"count": 60, "forwarded": 60, "note": "a note"}


def test_labels_and_positions_go_along(bench: Bench, trained) -> None:
    images = bench.prepare(TwoClasses(), at_most=30)
    made = bench.extract(images, trained, "calibration")
    positions = array(made, "positions")
    assert len(positions) == 20
    for name in ("labels", "indices"):
        np.testing.assert_array_equal(array(made, name), array(images, name)[positions])


def test_calibration_and_rest_are_the_rows_of_the_whole(bench: Bench, train, trained) -> None:
    whole = bench.extract(train, trained)
    for part in ("calibration", "rest"):
        made = bench.extract(train, trained, part)
        rows = array(whole, "logits")[array(made, "positions")]
        np.testing.assert_allclose(array(made, "logits"), rows, rtol=1e-5, atol=1e-6)


def test_the_rest_may_be_empty(bench: Bench, train, trained) -> None:
    made = bench.extract(train, trained, "rest", count=60)
    assert made.meta["count"] == len(array(made, "logits")) == len(array(made, "features")) == 0


def test_bfloat16_moves_features_a_little_and_the_head_stays_in_float32(
    bench, test, trained
) -> None:
    made = bench.extract(test, trained, precision="bfloat16")
    features, _ = expected(array(test, "images"), trained)
    assert array(made, "features") != pytest.approx(features.numpy(), abs=0)
    np.testing.assert_allclose(array(made, "features"), features, atol=0.03)
    head = load_classifier(Small(), trained, "cpu").head
    again = head(torch.from_numpy(array(made, "features")))
    np.testing.assert_allclose(array(made, "logits"), again, rtol=1e-5, atol=1e-6)


def test_progress_counts_images(bench: Bench, test, trained) -> None:
    bench.extract(test, trained)
    assert [done for done, _, _ in bench.reports] == [16, 32, 48, 60]
