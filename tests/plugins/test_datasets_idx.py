"""MNIST and its relatives are read from IDX files in torchvision's layout."""

import numpy as np
import pytest
from dataset_files import pictures, write_idx

from oodbench.contracts import InvalidData
from oodbench_datasets.idx import EmnistLetters, FashionMnist, Kmnist, Mnist

LABELS = np.array([3, 0, 9, 1])


def written(dataset, root, images, labels, split="test"):
    images_path, labels_path = dataset.files(root, split)
    write_idx(images_path, images)
    write_idx(labels_path, labels)
    return images_path, labels_path


@pytest.mark.parametrize("dataset", [Mnist(), FashionMnist(), Kmnist()])
def test_torchvision_reads_the_same_from_the_files_that_are_named(dataset, tmp_path):
    for split, seed in (("train", 1), ("test", 2)):
        written(dataset, tmp_path, pictures(4, 28, 28, seed=seed), LABELS, split)
    theirs = dataset.library_class()(tmp_path, train=False)
    ours = dataset.load(tmp_path, "test")
    assert np.array_equal(ours.images, theirs.data.numpy())
    assert np.array_equal(ours.labels, theirs.targets.numpy())


def test_torchvision_looks_for_the_letters_of_emnist_where_we_do(tmp_path):
    written(EmnistLetters(), tmp_path, pictures(4, 28, 28), LABELS + 1)
    theirs = EmnistLetters.library_class()(tmp_path, split="letters", train=False)
    assert theirs.targets.tolist() == (LABELS + 1).tolist()


def test_one_split_is_enough(tmp_path):
    images = pictures(4, 28, 28)
    written(Mnist(), tmp_path, images, LABELS)
    loaded = Mnist().load(tmp_path, "test")
    assert np.array_equal(loaded.images, images)
    assert loaded.labels.dtype == np.int64


def test_emnist_letters_are_turned_upright(tmp_path):
    upright = pictures(4, 28, 28)
    written(EmnistLetters(), tmp_path, upright.transpose(0, 2, 1), LABELS + 1)
    assert np.array_equal(EmnistLetters().load(tmp_path, "test").images, upright)


def test_emnist_letters_are_numbered_from_0(tmp_path):
    written(EmnistLetters(), tmp_path, pictures(2, 28, 28), np.array([1, 26]))
    assert EmnistLetters().load(tmp_path, "test").labels.tolist() == [0, 25]


@pytest.mark.parametrize("which", [0, 1], ids=["images", "labels"])
@pytest.mark.parametrize("length", [0, 3, 7, -1], ids=["empty", "magic", "header", "content"])
def test_truncated_file_is_named(which, length, tmp_path):
    path = written(Mnist(), tmp_path, pictures(4, 28, 28), LABELS)[which]
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(InvalidData, match=path.name):
        Mnist().load(tmp_path, "test")


@pytest.mark.parametrize("which", [0, 1], ids=["images", "labels"])
def test_file_that_is_something_else_is_named(which, tmp_path):
    path = written(Mnist(), tmp_path, pictures(4, 28, 28), LABELS)[which]
    path.write_bytes(b"<html>404 Not Found</html>" * 50)
    with pytest.raises(InvalidData, match=path.name):
        Mnist().load(tmp_path, "test")


def test_labels_of_another_set_are_refused(tmp_path):
    written(Mnist(), tmp_path, pictures(4, 28, 28), LABELS[:3])
    with pytest.raises(InvalidData, match=r"t10k-labels.*3 labels for 4 images"):
        Mnist().load(tmp_path, "test")


def test_label_beyond_the_classes_is_refused(tmp_path):
    written(Mnist(), tmp_path, pictures(4, 28, 28), np.array([0, 1, 2, 10]))
    with pytest.raises(InvalidData, match="t10k-labels"):
        Mnist().load(tmp_path, "test")


def test_images_of_another_size_are_refused(tmp_path):
    written(Mnist(), tmp_path, pictures(4, 32, 32), LABELS)
    with pytest.raises(InvalidData, match="t10k-images"):
        Mnist().load(tmp_path, "test")
