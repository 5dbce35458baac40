"""CIFAR and SVHN are read from files whose checksums torchvision knows, and from no others."""

import pickle

import numpy as np
import pytest
import scipy.io
import torchvision.datasets
from dataset_files import md5, pickled_by_python_2, pictures

from oodbench.contracts import InvalidData
from oodbench_datasets.arrays import Cifar10, Cifar100, Svhn


def write_cifar(dataset, root, labels_key, monkeypatch):
    """Write two images a batch and tell torchvision the checksums; return them by path."""
    library = dataset.library_class()
    written = {}
    for seed, path in enumerate(dataset.files(root, "test")):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.name.endswith("meta"):
            path.write_bytes(pickle.dumps({library.meta["key"]: ["cat", "dog"]}))
            monkeypatch.setitem(library.meta, "md5", md5(path))
        else:
            images, labels = pictures(2, 32, 32, 3, seed=seed), [seed, seed + 1]
            path.write_bytes(pickled_by_python_2(images, labels, labels_key))
            written[path.name] = (path, images, labels)
    for name in ("train_list", "test_list"):
        batches = [[batch, md5(written[batch][0])] for batch, _ in getattr(library, name)]
        monkeypatch.setattr(library, name, batches)
    return written


@pytest.fixture
def cifar10(tmp_path, monkeypatch):
    return write_cifar(Cifar10(), tmp_path, "labels", monkeypatch)


@pytest.fixture
def svhn(tmp_path, monkeypatch):
    """Write three images as a .mat file, rows first, and tell torchvision its checksum."""
    images, (path,) = pictures(3, 32, 32, 3), Svhn().files(tmp_path, "test")
    labels = np.array([[10], [1], [9]], dtype=np.uint8)
    scipy.io.savemat(path, {"X": images.transpose(1, 2, 3, 0), "y": labels})
    split_list = {"test": [None, path.name, md5(path)]}
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", split_list)
    return images


@pytest.mark.parametrize("dataset", [Cifar10(), Cifar100(), Svhn()])
@pytest.mark.parametrize("split", ["train", "test"])
def test_every_file_has_a_checksum(dataset, split):
    assert set(dataset.paths(split)) <= set(dataset.checksums(split))


def test_cifar10_test_batch(cifar10, tmp_path):
    _, images, labels = cifar10["test_batch"]
    loaded = Cifar10().load(tmp_path, "test")
    assert np.array_equal(loaded.images, images)
    assert loaded.labels.tolist() == labels
    assert loaded.labels.dtype == np.int64


def test_cifar10_training_batches_come_in_order(cifar10, tmp_path):
    loaded = Cifar10().load(tmp_path, "train")
    expected = [cifar10[f"data_batch_{number}"][1] for number in range(1, 6)]
    assert np.array_equal(loaded.images, np.concatenate(expected))


def test_cifar100_has_the_fine_labels(tmp_path, monkeypatch):
    written = write_cifar(Cifar100(), tmp_path, "fine_labels", monkeypatch)
    _, images, labels = written["train"]
    loaded = Cifar100().load(tmp_path, "train")
    assert np.array_equal(loaded.images, images)
    assert loaded.labels.tolist() == labels


def test_changed_batch_is_named(cifar10, tmp_path):
    path, _, _ = cifar10["data_batch_3"]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InvalidData, match=r"data_batch_3.*oodbench data prepare cifar10"):
        Cifar10().load(tmp_path, "train")


@pytest.mark.usefixtures("cifar10")
def test_missing_batch_is_named(tmp_path):
    (tmp_path / "cifar-10-batches-py" / "data_batch_2").unlink()
    with pytest.raises(InvalidData, match="data_batch_2"):
        Cifar10().load(tmp_path, "test")


class Trap:
    """Pickles to a call that creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_that_is_not_the_published_one_is_never_opened(cifar10, tmp_path):
    path, _, _ = cifar10["test_batch"]
    path.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(InvalidData, match="test_batch"):
        Cifar10().load(tmp_path, "test")
    assert not (tmp_path / "sprung").exists()


def test_svhn_images_have_channels_last(svhn, tmp_path):
    assert np.array_equal(Svhn().load(tmp_path, "test").images, svhn)


@pytest.mark.usefixtures("svhn")
def test_svhn_digit_0_has_label_0(tmp_path):
    assert Svhn().load(tmp_path, "test").labels.tolist() == [0, 1, 9]


@pytest.mark.usefixtures("svhn")
def test_truncated_svhn_is_named(tmp_path):
    path = tmp_path / "test_32x32.mat"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InvalidData, match=r"test_32x32\.mat"):
        Svhn().load(tmp_path, "test")
