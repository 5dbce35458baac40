"""One pass through the classifier keeps all that detectors ask for, in float32."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from stagework import Bench, Small, TwoClasses, array, tensors

from oodbench.contracts import PluginError
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


def changed(bench: Bench, trained, **values: float):
    """Return the trained classifier with the first weight of some layers replaced."""
    state = tensors(trained, "model")
    for layer, value in values.items():
        state[f"{layer}.weight".replace("body", "body.1")][0, 0] = value
    with bench.store.create("train", "changed") as draft:
        save_file(state, draft / "model.safetensors")
        draft.meta.update(trained.meta)
    return bench.store.open("train", "changed")


def test_outputs_that_are_not_finite_are_the_classifiers_fault(bench: Bench, test, trained) -> None:
    message = (
        "classifier 'small' gives features or logits that are NaN or infinite for 60 of 60 images"
    )
    with pytest.raises(PluginError, match=message):
        bench.extract(test, changed(bench, trained, body=float("nan")))


def test_infinite_logits_of_some_images_are_counted(bench: Bench, test, trained) -> None:
    """Weights and features are finite; a feature times 1000 is not, where a pixel is bright."""
    affected = int((array(test, "images")[:, 0, 0, 0] / 255 * 1e40 > 3.4028e38).sum())
    assert 0 < affected < 60
    with pytest.raises(PluginError, match=rf"for {affected} of 60 images; its weights are too"):
        bench.extract(test, changed(bench, trained, body=1e37, head=1e3))
