"""Figures see a run as it was: its files, and its networks as the store kept them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from oodbench.errors import FigureUnavailable, PluginError
from oodbench.plot.view import StoredRun
from oodbench.registry.lookup import load_registry
from oodbench.results.run import read_run
from oodbench.store.artifacts import Store


@pytest.fixture
def view(drawable: Path, store: Path) -> StoredRun:
    return StoredRun(read_run(drawable), Store(store), load_registry())


def test_it_names_sets_and_detectors_in_the_order_of_the_table(view: StoredRun) -> None:
    assert view.id_dataset == "Digits"
    assert view.ood_datasets == ["Uniform", "PhotoPatches-bw"]
    assert view.detectors == ["ganad", "energy"]


def test_a_detector_that_failed_on_a_set_is_left_out(drawable: Path, store: Path) -> None:
    run = read_run(drawable)
    records = run.records.copy()
    records.loc[records.index[-1], "status"] = "failed"
    view = StoredRun(dataclasses.replace(run, records=records), Store(store), load_registry())
    assert view.detectors == ["ganad"]
    assert view.ood_datasets == ["Uniform", "PhotoPatches-bw"]


def test_scores_are_those_of_the_file_for_each_training(view: StoredRun, drawable: Path) -> None:
    frame = read_run(drawable).scores()
    chosen = frame[
        (frame["detector"] == "ganad") & (frame["dataset"] == "Uniform") & (frame["seed"] == 1)
    ]
    _, second = view.scores("ganad", "Uniform")
    np.testing.assert_array_equal(second, chosen["score"].to_numpy())
    assert len(view.scores("energy", "Uniform")) == 1


def test_the_threshold_keeps_95_percent_of_the_calibration_images(view: StoredRun) -> None:
    (scores,) = view.scores("energy", "Digits", "calibration")
    assert view.threshold("energy") == np.sort(scores)[94]


def test_outputs_have_the_labels_and_predictions_of_the_run(
    view: StoredRun, drawable: Path
) -> None:
    frame = read_run(drawable).predictions()
    expected = frame[(frame["dataset"] == "Digits") & (frame["split"] == "test")]
    outputs = view.outputs("Digits")
    np.testing.assert_array_equal(outputs.labels, expected["label"])
    np.testing.assert_array_equal(outputs.logits.argmax(axis=1), expected["prediction"])


def test_confidence_is_the_largest_softmax_probability(view: StoredRun) -> None:
    outputs = view.outputs("Uniform")
    expected = torch.from_numpy(outputs.logits).double().softmax(dim=1).amax(dim=1)
    np.testing.assert_allclose(outputs.confidence, expected)


def test_a_classifier_whose_outputs_are_not_finite_is_named(view: StoredRun) -> None:
    images, _ = view.train_images(3)
    with torch.no_grad():
        view._restorer.classifier.head.bias[0] = float("nan")
    with pytest.raises(PluginError, match=r"'preact-resnet' gives .* for 3 of 3 images"):
        view.classify(images)


def test_a_restored_detector_gives_the_scores_of_the_run(view: StoredRun, drawable: Path) -> None:
    frame = read_run(drawable).scores()
    chosen = (
        (frame["detector"] == "ganad") & (frame["seed"] == 0) & (frame["split"] == "calibration")
    )
    every, _ = view.train_images(10_000)
    kept = np.load(view._restorer.train_images() / "indices.npy")  # validation images are held out
    images = every[np.searchsorted(kept, frame[chosen]["index"].to_numpy())]
    expected = view.scores("ganad", "Digits", "calibration")[0]
    np.testing.assert_allclose(view.score("ganad", images), expected, rtol=1e-4, atol=1e-6)


def test_the_generator_is_found_as_a_part_of_the_detectors_that_use_it(view: StoredRun) -> None:
    wgan = view.part("wgan")
    length = wgan.generator_.start[0].in_features - view.num_classes
    images = wgan.generator_(torch.zeros(2, length), torch.tensor([0, 1]))
    assert images.shape == (2, *view.shape)
    assert view.users_of("wgan") == ["ganad"]
    assert view.part("wgan") is wgan


def test_a_part_that_nobody_has_is_a_reason_not_to_draw(view: StoredRun) -> None:
    with pytest.raises(FigureUnavailable, match="no detector of the run has a part called flow"):
        view.part("flow")


def test_images_of_another_geometry_are_fitted(view: StoredRun) -> None:
    colour = torch.rand(3, 3, 16, 12, generator=torch.Generator().manual_seed(0))
    fitted = view.fitted(colour)
    assert fitted.shape == (3, *view.shape)
    assert fitted.dtype == torch.float32
    assert float(fitted.mean()) == pytest.approx(float(colour.mean()), abs=0.05)


def test_images_of_the_right_geometry_stay_as_they_are(view: StoredRun) -> None:
    images = torch.rand(2, *view.shape)
    assert view.fitted(images) is images


def test_training_images_are_those_of_the_id_set_with_their_classes(view: StoredRun) -> None:
    images, labels = view.train_images(50)
    assert images.shape == (50, *view.shape)
    assert 0 <= float(images.min()) < float(images.max()) <= 1
    again, _ = view.train_images(50)
    assert torch.equal(images, again)
    assert set(labels) <= set(range(view.num_classes))


def test_a_run_of_an_older_version_is_a_reason_not_to_draw(drawable: Path, store: Path) -> None:
    run = read_run(drawable)
    info = {name: value for name, value in run.info.items() if name != "artifacts"}
    view = StoredRun(dataclasses.replace(run, info=info), Store(store), load_registry())
    with pytest.raises(FigureUnavailable, match="older oodbench"):
        view.outputs("Uniform")


def test_a_detector_that_learned_something_else_is_a_reason_not_to_draw(
    drawable: Path, store: Path
) -> None:
    run = read_run(drawable)
    (uniform,) = [e["artifact"] for e in run.info["artifacts"]["classifiers"]]
    detectors = [each | {"artifact": uniform} for each in run.info["artifacts"]["detectors"]]
    info = run.info | {"artifacts": run.info["artifacts"] | {"detectors": detectors}}
    view = StoredRun(dataclasses.replace(run, info=info), Store(store), load_registry())
    with pytest.raises(FigureUnavailable, match="cannot be read by the installed version"):
        view.score("ganad", torch.rand(1, *view.shape))
