"""Detectors are tuned on images that they are not fitted on, and that nobody tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oodbench.errors import UserError
from oodbench.registry.lookup import load_registry
from oodbench.request.options import Options
from oodbench.tuning.validation import Validation, find_validation

LOADED = load_registry()


@pytest.fixture
def find(tmp_path: Path, tiny: Path):
    """Return a function that finds validation data for msp on the tiny benchmark."""

    def find_for(outliers=None, images: int = 50, **options) -> Validation:
        defaults = {"benchmark": str(tiny), "detectors": ["msp"], "download": False}
        defaults |= {"data": tmp_path / "data", "device": "cpu"}
        return find_validation(Options(**{**defaults, **options}), outliers, images, LOADED)

    return find_for


def test_detectors_are_tuned_on_the_validation_images_of_a_run(find) -> None:
    request = find().resolved.request
    held_out, rest = (each.positions(each.load().labels) for each in (request.test, request.train))
    assert len(held_out) == 100
    assert sorted([*held_out, *rest]) == list(range(1201))
    assert request.validation is None
    assert request.images_per_set == 50


def test_a_benchmark_without_validation_images_is_refused(find) -> None:
    with pytest.raises(UserError, match="'tiny' has no validation images"):
        find(validation_images=0)


def test_without_a_declaration_outliers_are_those_that_ship(find) -> None:
    titles = find().resolved.request.titles()
    assert titles == ["Digits", "Inverted ID", "Jigsaw ID", "Mixed ID"]


def test_sets_that_ship_for_tuning_are_left_out_where_they_are_tested(find) -> None:
    titles = find(ood=["jigsaw-id"]).resolved.request.titles()
    assert titles == ["Digits", "Inverted ID", "Mixed ID"]


def test_a_benchmark_declares_its_outliers(find, tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "declares.toml"
    path.write_text('validation = ["gaussian"]\n' + tiny.read_text())
    assert find(benchmark=str(path)).resolved.request.titles() == ["Digits", "Gaussian"]
    assert find(["glyphs"], benchmark=str(path)).resolved.request.titles()[1:] == ["Glyphs"]


@pytest.mark.parametrize("name", ["uniform", "digits"])
def test_a_test_set_is_refused(find, name: str) -> None:
    with pytest.raises(UserError, match=f"'{name}' is the ID set or an OOD test set of benchmark"):
        find([name])


def test_the_images_of_a_test_set_are_refused_under_another_name(find, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    pack = tmp_path / "data" / "svhn-test.npz"
    np.savez(pack, images=np.zeros((5, 8, 8), np.uint8), labels=np.zeros(5, np.int64))
    with pytest.raises(UserError, match="is the ID set or an OOD test set of benchmark 'tiny'"):
        find([str(pack)], ood=["svhn"])


def test_training_images_of_outliers_are_taken_where_there_are_any(find, tmp_path: Path) -> None:
    for split, value in (("train", 1), ("test", 2)):
        images = np.full((5, 8, 8), value, np.uint8)
        path = tmp_path / f"mine-{split}.npz"
        np.savez(path, images=images, labels=np.zeros(5, np.int64))
    (source,) = find([str(tmp_path / "mine")]).resolved.request.ood
    assert (source.load().images == 1).all()


def test_no_images_are_refused(find) -> None:
    with pytest.raises(UserError, match="at least 1 image of each set, not 0"):
        find(images=0)


@pytest.mark.parametrize("name", ["digits[3-6]", "digits[8]", "digits"])
def test_classes_that_are_known_or_tested_are_refused_as_outliers(find, name: str) -> None:
    options = {"id": "digits[0-4]", "ood": ["digits[8-9]"], "classifier": "preact-resnet"}
    with pytest.raises(UserError, match="is the ID set or an OOD test set of benchmark"):
        find([name], benchmark=None, **options)


def test_other_classes_of_the_id_set_serve_as_outliers(find) -> None:
    options = {"id": "digits[0-4]", "ood": ["digits[8-9]"], "classifier": "preact-resnet"}
    titles = find(["digits[5-7]"], benchmark=None, **options).resolved.request.titles()
    assert titles == ["Digits, classes 0-4", "Digits, classes 5-7"]
