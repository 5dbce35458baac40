"""A run on some classes of a set is a run like any other."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import oodbench
from oodbench.plot.images import find_images
from oodbench.registry.lookup import load_registry
from oodbench.report.gallery import make_galleries
from oodbench.report.samples import read_shown
from oodbench.results.run import Run
from oodbench_datasets.digits import Digits


@pytest.fixture(scope="module")
def known_six(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run with six known and four unknown digits."""
    folder = tmp_path_factory.mktemp("known-six")
    return oodbench.run(
        id="digits[0-5]",
        ood="digits[6-9],uniform",
        detectors="msp,energy",
        classifier="preact-resnet",
        parameters={"preact-resnet": {"epochs": 6, "width": 4, "shift": 0}},
        store=folder / "store",
        out=folder / "run",
        engine="inline",
        device="cpu",
    )


def test_accuracy_and_oscr_are_those_of_six_classes(known_six: Run, tmp_path: Path) -> None:
    labels = Digits().load(tmp_path, "test").labels
    records, predictions = known_six.records, known_six.predictions()
    known = predictions[predictions["dataset"] == "Digits, classes 0-5"].query("split == 'test'")
    assert sorted(known["label"].unique()) == [*range(6)]
    assert set(known["prediction"]) <= {*range(6)}
    unknown = records[records["ood_dataset"] == "Digits, classes 6-9"]
    assert set(unknown["n_id"]) == {int((labels < 6).sum())}
    assert set(unknown["n_ood"]) == {int((labels >= 6).sum())}
    accuracy = (known["label"] == known["prediction"]).mean()
    np.testing.assert_allclose(unknown["id_accuracy"], accuracy)
    assert accuracy > 0.3
    assert unknown["oscr"].between(0.1, accuracy).all()


def test_its_galleries_show_images_of_these_classes(known_six: Run, tmp_path: Path) -> None:
    images = find_images(known_six, load_registry(), tmp_path)
    whole = Digits().load(tmp_path, "test")
    shown = read_shown(known_six).judged["msp", "Digits, classes 6-9"]
    found = images["Digits, classes 6-9"](shown.indices)
    galleries, _ = make_galleries(read_shown(known_six), images)
    details = [each for strip in galleries[1].strips for each in strip.details]
    assert details
    assert all(re.match(r"image \d+: class [6-9], taken for [0-5], ", each) for each in details)
    np.testing.assert_array_equal(found[:, 0], whole.images[whole.labels >= 6])
