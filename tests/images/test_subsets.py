"""Some classes of any data set, named in brackets, are a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oodbench.errors import InvalidData, UnknownName, UserError
from oodbench.images.geometry import title_in
from oodbench.images.sources import locate
from oodbench.images.subsets import ClassSubset, split_classes
from oodbench.registry.lookup import load_registry
from oodbench.request.datasets import make_dataset
from oodbench.request.options import split_names

LOADED = load_registry()


def subset(name: str) -> ClassSubset:
    found = make_dataset(name, LOADED)
    assert isinstance(found, ClassSubset)
    return found


def labelled(path: Path, labels: list[int]) -> None:
    """Write a pack whose images are as bright as their labels."""
    images = np.broadcast_to(np.array(labels, np.uint8)[:, None, None], (len(labels), 8, 8))
    np.savez(path, images=images, labels=np.array(labels))


@pytest.mark.parametrize(
    ("name", "classes", "title"),
    [
        ("digits[3]", [3], "Digits, class 3"),
        ("digits[!3]", [0, 1, 2, 4, 5, 6, 7, 8, 9], "Digits, all but class 3"),
        ("digits[0-5]", [0, 1, 2, 3, 4, 5], "Digits, classes 0-5"),
        ("digits[5, 0,3-4]", [0, 3, 4, 5], "Digits, classes 0, 3-5"),
        ("digits[!8-9]", [0, 1, 2, 3, 4, 5, 6, 7], "Digits, all but classes 8, 9"),
    ],
)
def test_classes_are_named_one_by_one_by_ranges_or_by_the_others(name, classes, title) -> None:
    found = subset(name)
    assert list(found.classes.values()) == classes
    assert (found.info.label, found.num_classes) == (title, len(classes))


def test_images_are_those_of_the_classes_with_labels_from_zero(tmp_path: Path) -> None:
    whole = make_dataset("digits", LOADED).load(tmp_path, "test")
    found = locate(subset("digits[3,7]"), "test", tmp_path).load()
    for label, original in enumerate((3, 7)):
        expected = whole.images[whole.labels == original]
        np.testing.assert_array_equal(found.images[found.labels == label], expected)
    assert np.unique(found.labels).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("digits[12]", r"'12' in 'digits\[12\]' is no class; 'digits' has the classes 0-9"),
        ("digits[7-12]", r"'7-12' in 'digits\[7-12\]' is no class"),
        ("digits[5-3]", r"'5-3' in 'digits\[5-3\]' is no class"),
        ("digits[]", r"'' in 'digits\[\]' is no class"),
        ("digits[1,,2]", r"'' in 'digits\[1,,2\]' is no class"),
        ("digits[!]", r"'' in 'digits\[!\]' is no class"),
        ("digits[!0-9]", r"'digits\[!0-9\]' leaves no class; 'digits' has 0-9"),
        ("digits[three]", r"'three' in 'digits\[three\]' is no class"),
        ("uniform[3]", r"data set 'uniform' has no classes: 'uniform\[3\]' names none"),
    ],
)
def test_a_class_that_does_not_exist_is_answered_with_those_that_do(name, sentence) -> None:
    with pytest.raises(UserError, match=sentence):
        make_dataset(name, LOADED)


def test_classes_of_an_unknown_set_are_answered_with_a_similar_name() -> None:
    with pytest.raises(UnknownName, match="unknown data set 'digit'; did you mean 'digits'"):
        make_dataset("digit[3]", LOADED)


def test_a_pack_is_asked_for_the_labels_that_it_has(tmp_path: Path) -> None:
    labelled(tmp_path / "own.npz", [4, 7, 4, 9])
    found = locate(subset(f"{tmp_path}/own.npz[4,9]"), "test", tmp_path).load()
    assert found.images[:, 0, 0].tolist() == [4, 4, 9]
    assert found.labels.tolist() == [0, 0, 1]
    with pytest.raises(UserError, match="has the classes 4, 7, 9"):
        make_dataset(f"{tmp_path}/own.npz[5]", LOADED)


def test_a_folder_is_asked_for_the_names_of_its_folders(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for value, name in enumerate(("bird", "cat", "dog")):
            path = tmp_path / "own" / split / name / "0.png"
            path.parent.mkdir(parents=True)
            Image.new("L", (8, 8), value).save(path)
    found = subset(f"{tmp_path}/own[dog,bird]")
    assert found.info.label == "own, classes bird, dog"
    loaded = locate(found, "test", tmp_path).load()
    assert (loaded.images[:, 0, 0].tolist(), loaded.labels.tolist()) == ([0, 2], [0, 1])
    with pytest.raises(UserError, match="'own' has the classes bird, cat, dog"):
        make_dataset(f"{tmp_path}/own[owl]", LOADED)


def test_brackets_in_the_name_of_a_folder_that_exists_are_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "own[1]").mkdir()
    assert split_classes(f"{tmp_path}/own[1]") == (f"{tmp_path}/own[1]", None)
    assert split_classes(f"{tmp_path}/own[2]") == (f"{tmp_path}/own", "2")


def test_a_pack_in_the_data_folder_is_found_and_verified(tmp_path: Path) -> None:
    labelled(tmp_path / "mnist-test.npz", [3, 5, 3])
    source = locate(subset("mnist[3]"), "test", tmp_path, download=False)
    assert len(source.load()) == 2
    labelled(tmp_path / "mnist-test.npz", [3, 5, 5])
    with pytest.raises(InvalidData, match="were changed since the run began"):
        source.verify()


def test_a_split_without_images_of_the_classes_is_refused(tmp_path: Path) -> None:
    labelled(tmp_path / "mnist-test.npz", [3, 5, 3])
    with pytest.raises(InvalidData, match=r"mnist \(class 4\): none of its 3 images is of these"):
        locate(subset("mnist[4]"), "test", tmp_path, download=False).load()


def test_fingerprints_tell_classes_apart_however_they_are_written(tmp_path: Path) -> None:
    def prints(*names: str) -> set[str]:
        return {locate(make_dataset(each, LOADED), "test", tmp_path).fingerprint for each in names}

    assert len(prints("digits[0-2]", "digits[0,1,2]", "digits[!3-9]")) == 1
    assert len(prints("digits[0-2]", "digits[0,1]", "digits")) == 3


def test_classes_share_images_with_the_same_classes_of_the_same_set_alone(tmp_path: Path) -> None:
    first, same, other, whole = (
        locate(make_dataset(name, LOADED), "test", tmp_path)
        for name in ("digits[0-3]", "digits[3,4]", "digits[4-9]", "digits")
    )
    assert first.identities & same.identities
    assert first.identities & whole.identities
    assert not first.identities & other.identities


def test_the_change_of_colours_is_said_of_the_set_and_not_of_its_classes() -> None:
    dataset = make_dataset("cifar10[0-1]", LOADED)
    assert title_in(dataset, (1, 28, 28)) == "CIFAR-10-bw, classes 0, 1"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b", ["a", "b"]),
        ("mnist[0,3-5]", ["mnist[0,3-5]"]),
        ("a, mnist[0,3] ,b[!1,2],", ["a", "mnist[0,3]", "b[!1,2]"]),
    ],
)
def test_a_comma_in_brackets_separates_no_names(text: str, names: list[str]) -> None:
    assert split_names(text) == names
