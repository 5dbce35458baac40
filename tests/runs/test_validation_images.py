"""Validation images reach the fits that ask for them, and no other training, fit or threshold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sample_detectors import Confidence

import oodbench
from oodbench.images.sources import locate
from oodbench.registry.lookup import load_registry

RECORDING = '''
"""A classifier and detectors that write down the images that they learn from."""

from pathlib import Path

import numpy as np
from torch import nn

from oodbench.contracts import Classifier, CustomClassifier, Detector, Info, Need, Recipe, hookimpl

HERE = Path(__file__).parent


def record(name, images):
    rows = (images * 255).round().byte().flatten(1).cpu().numpy()
    np.save(HERE / name / f"{len(list((HERE / name).iterdir()))}.npy", rows)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Flatten()
        self.head = nn.Linear(64, 10)

    def features(self, x):
        return self.body(x)

    def forward(self, x):
        return self.head(self.features(x))


class Recording(Classifier):
    info = Info(name="recording", summary="For tests.")

    @property
    def recipe(self):
        return Recipe(epochs=2, batch_size=10)

    def build(self, shape, num_classes):
        return Network()

    def augment(self, images, generator):
        record("classifier", images)
        return images


class ReadyMade(Recording, CustomClassifier):
    info = Info(name="ready-made", summary="For tests.")

    def load(self, module, num_classes):
        return True


class Fits(Detector):
    info = Info(name="fits", summary="For tests.")
    needs = frozenset({Need.LOGITS})
    fit_needs = frozenset({Need.INPUTS})

    def fit(self, train, context):
        for batch in train:
            record(self.info.name, batch.inputs)
        return self

    def score(self, batch):
        return -batch.logits.amax(1)


class Validates(Fits):
    info = Info(name="validates", summary="For tests.")
    fit_needs = frozenset({Need.INPUTS, Need.LOGITS, Need.VALIDATION})

    def fit(self, train, context):
        self.right_ = 0
        for batch in context.validation:
            record(self.info.name, batch.inputs)
            self.right_ += int((batch.logits.argmax(1) == batch.labels).sum())
        return self


@hookimpl
def oodbench_classifiers():
    return [Recording, ReadyMade]


@hookimpl
def oodbench_detectors():
    return [Fits, Validates]
'''


@pytest.fixture
def folder(install) -> Path:
    """Install the recording plugin; return the folder that it writes to."""
    found = install("recording_plugin", RECORDING)
    for name in ("classifier", "fits", "validates"):
        (found / name).mkdir()
    return found


@pytest.fixture
def run(folder: Path, tmp_path: Path, one_cpu):
    """Return a function that runs detectors on digits."""

    def run_for(*detectors, classifier: str = "recording", **options) -> oodbench.Run:
        given = {"ood": ["uniform"], "images": 50, "data": tmp_path / "data", "device": "cpu"}
        given |= {"store": tmp_path / "store", "out": tmp_path / "run", "engine": "inline"}
        return oodbench.run(
            "digits", detectors, classifier=classifier, force=True, **{**given, **options}
        )

    return run_for


def recorded(folder: Path, name: str) -> set[bytes]:
    files = (folder / name).iterdir()
    return {row.tobytes() for file in files for row in np.load(file)}


def training_images(tmp_path: Path) -> np.ndarray:
    digits = load_registry().datasets["digits"].create()
    images = locate(digits, "train", tmp_path).load().images
    return images.reshape(len(images), -1)


def test_no_held_out_image_is_learned_from(run, folder: Path, tmp_path: Path) -> None:
    made = run("fits", "validates", validation_images=100)
    held_out = recorded(folder, "validates")
    assert len(held_out) == 100
    assert recorded(folder, "classifier") <= recorded(folder, "fits")
    assert recorded(folder, "fits").isdisjoint(held_out)
    images = training_images(tmp_path)
    assert recorded(folder, "fits") | held_out == {row.tobytes() for row in images}
    scores = made.scores()
    calibration = scores[scores["split"] == "calibration"]["index"].unique()
    assert len(calibration) == 1000
    assert {images[index].tobytes() for index in calibration}.isdisjoint(held_out)


def test_another_number_of_validation_images_reuses_nothing_that_was_learned(run, folder) -> None:
    run("fits", validation_images=100)
    before = recorded(folder, "fits")
    run("fits", validation_images=50)
    assert len(recorded(folder, "fits")) == len(before) + 50
    made = run("fits", validation_images=50)
    assert made.info["jobs_run"] == 0
    assert made.info["request"]["validation_images"] == 50


def test_without_validation_images_who_needs_them_is_left_out_with_one_sentence(run) -> None:
    made = run("fits", "validates", validation_images=0)
    failed = made.records[made.records["status"] == "failed"]
    assert set(failed["detector"]) == {"validates"}
    assert set(failed["error"]) == {
        "it is fitted on validation images, and benchmark 'digits' holds none out; "
        "--validation-images 1000 does"
    }


def test_where_too_few_images_can_be_held_out_who_needs_them_loses_its_own_rows(
    run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oodbench.images.shares.LEAST_PER_CLASS", 10_000)
    made = run("fits", "validates", validation_images=100)
    assert set(made.records.groupby("status")["detector"].unique()["ok"]) == {"fits"}
    (reason,) = made.records[made.records["detector"] == "validates"]["error"].unique()
    assert "no class has the 5 training images that it takes to hold one out" in reason


def test_a_ready_made_classifier_may_have_seen_them_which_a_note_says(run) -> None:
    made = run("fits", "validates", classifier="ready-made")
    assert made.info["notes"] == {
        "Digits": "the classifier was trained elsewhere, and may have seen the validation images "
        "that validates is fitted on"
    }
    assert run("fits", classifier="ready-made").info["notes"] == {}
    assert run("validates").info["notes"] == {}


def test_a_detector_that_asks_for_none_passes_none_through_the_classifier(run) -> None:
    assert run(Confidence()).info["images_forwarded"] == 50 + 50 + 1000
