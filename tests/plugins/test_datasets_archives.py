"""Omniglot, notMNIST, LSUN, Textures and TinyImageNet are read from their archives."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import pytorch_ood.dataset.img
import torchvision.datasets
from dataset_files import md5, pictures, png, write_archive

from oodbench.contracts import InvalidData
from oodbench_datasets.pictures import Lsun, NotMnist, Omniglot, Textures, TinyImageNet


def write_known(dataset, root, members, monkeypatch):
    """Write the archive of a data set and tell pytorch-ood its checksum."""
    path = root / dataset.archive
    write_archive(path, members)
    library = getattr(pytorch_ood.dataset.img, dataset.library.partition(":")[2])
    monkeypatch.setattr(library, "tgz_md5", md5(path))


@pytest.mark.parametrize("dataset", [Lsun, Textures, TinyImageNet])
def test_archive_is_named_as_by_pytorch_ood(dataset):
    library = getattr(pytorch_ood.dataset.img, dataset.library.partition(":")[2])
    assert dataset.archive == library.filename


class TestOmniglot:
    @pytest.fixture
    def images(self, tmp_path, monkeypatch):
        """Write four drawings of three characters, out of order; ink is black on white."""
        images = pictures(4, 105, 105) // 128 * 255
        names = ("B/character01/0902_01", "A/character02/0812_02", "A/character02/0812_01",
                 "A/character01/0711_01")  # fmt: skip
        members = {
            f"images_evaluation/{name}.png": png(~image)
            for name, image in zip(names, images, strict=True)
        }
        path = tmp_path / "omniglot-py" / "images_evaluation.zip"
        write_archive(path, members)
        monkeypatch.setitem(torchvision.datasets.Omniglot.zips_md5, "images_evaluation", md5(path))
        return images

    def test_ink_is_255(self, images, tmp_path):
        loaded = Omniglot().load(tmp_path, "test")
        assert np.array_equal(loaded.images, images[::-1])

    @pytest.mark.usefixtures("images")
    def test_characters_are_numbered_by_alphabet(self, tmp_path):
        assert Omniglot().load(tmp_path, "test").labels.tolist() == [0, 1, 1, 2]

    @pytest.mark.usefixtures("images")
    def test_torchvision_accepts_the_archive_where_we_read_it(self, tmp_path):
        (tmp_path / "omniglot-py" / "images_evaluation").mkdir()
        torchvision.datasets.Omniglot(tmp_path, background=False)

    @pytest.mark.usefixtures("images")
    def test_changed_archive_is_named(self, tmp_path):
        path = tmp_path / "omniglot-py" / "images_evaluation.zip"
        path.write_bytes(path.read_bytes() + b"more")
        with pytest.raises(InvalidData, match=r"images_evaluation\.zip.*data prepare omniglot"):
            Omniglot().load(tmp_path, "test")


class TestNotMnist:
    IMAGES = pictures(3, 28, 28)
    MEMBERS = {  # noqa: RUF012
        "notMNIST_small/B/Zm9udA==.png": png(IMAGES[2]),
        "notMNIST_small/A/b.png": png(IMAGES[1]),
        "notMNIST_small/A/empty.png": b"",
        "notMNIST_small/A/._a.png": b"left by a file manager",
        "notMNIST_small/A/a.png": png(IMAGES[0]),
    }

    class Known(NotMnist):
        """notMNIST, if it were these three images."""

    Known.pixels_md5 = hashlib.md5(IMAGES.tobytes()).hexdigest()

    def test_unreadable_pictures_are_left_out_and_the_others_sorted(self, tmp_path):
        write_archive(tmp_path / NotMnist.archive, self.MEMBERS)
        loaded = self.Known().load(tmp_path, "test")
        assert np.array_equal(loaded.images, self.IMAGES)
        assert loaded.labels.tolist() == [0, 0, 1]

    def test_other_pictures_are_refused(self, tmp_path):
        write_archive(tmp_path / NotMnist.archive, self.MEMBERS)
        with pytest.raises(InvalidData, match=r"notMNIST_small\.tar\.gz.* 3 readable pictures"):
            NotMnist().load(tmp_path, "test")

    def test_picture_of_another_size_is_named(self, tmp_path):
        members = self.MEMBERS | {"notMNIST_small/C/c.png": png(pictures(1, 30, 28)[0])}
        write_archive(tmp_path / NotMnist.archive, members)
        with pytest.raises(InvalidData, match=r"picture C/c\.png is 28x30"):
            NotMnist().load(tmp_path, "test")

    @pytest.mark.parametrize("length", [0, 5, 200, -400])
    def test_truncated_archive_is_named(self, length, tmp_path):
        path = tmp_path / NotMnist.archive
        write_archive(path, self.MEMBERS)
        path.write_bytes(path.read_bytes()[:length])
        with pytest.raises(InvalidData, match=r"notMNIST_small\.tar\.gz"):
            self.Known().load(tmp_path, "test")

    def test_archive_without_pictures_is_named(self, tmp_path):
        write_archive(tmp_path / NotMnist.archive, {"elsewhere/A/a.png": png(self.IMAGES[0])})
        with pytest.raises(InvalidData, match="no pictures in its folder 'notMNIST_small'"):
            NotMnist().load(tmp_path, "test")

    def test_members_outside_the_folder_are_not_written(self, tmp_path):
        members = self.MEMBERS | {"../outside.png": b"", "/tmp/absolute.png": b""}
        root = tmp_path / "data"
        write_archive(root / NotMnist.archive, members)
        self.Known().load(root, "test")
        assert [path.name for path in tmp_path.rglob("*.*")] == ["notMNIST_small.tar.gz"]

    def test_the_real_pixels_are_the_known_ones(self, tmp_path):
        pack = Path(os.environ.get("OODBENCH_DATA", "")) / "notmnist-test.npz"
        if not pack.is_file():
            pytest.skip(f"needs {pack.name} in OODBENCH_DATA")
        with np.load(pack) as arrays:
            images, labels = arrays["images"], arrays["labels"]
        members = {"notMNIST_small/A/RGVtb2NyYXRpY2FCb2xk.png": b""} | {
            f"notMNIST_small/{'ABCDEFGHIJ'[label]}/{index:05}.png": png(image)
            for index, (image, label) in enumerate(zip(images, labels, strict=True))
        }
        write_archive(tmp_path / NotMnist.archive, members)
        loaded = NotMnist().load(tmp_path, "test")
        assert np.array_equal(loaded.images, images)
        assert np.array_equal(loaded.labels, labels)


def test_lsun_is_read_in_the_order_of_names_without_labels(tmp_path, monkeypatch):
    images = pictures(2, 32, 32, 3)
    members = {
        "./LSUN_resize/LSUN_resize/2.png": png(images[1]),
        "./LSUN_resize/LSUN_resize/1.png": png(images[0]),
        "./LSUN_resize/.DS_Store": b"left by a file manager",
    }
    write_known(Lsun, tmp_path, members, monkeypatch)
    loaded = Lsun().load(tmp_path, "test")
    assert np.array_equal(loaded.images, images)
    assert loaded.labels.tolist() == [-1, -1]


def test_textures_are_reduced_to_their_centre_squares(tmp_path, monkeypatch):
    photograph = np.zeros((96, 160, 3), dtype=np.uint8)
    photograph[:, 32:128] = 200
    photograph[:, 80:128] = 100
    members = {
        "dtd/images/zigzagged/z.jpg": png(photograph[:, ::-1]),
        "dtd/images/banded/b.jpg": png(photograph),
        "dtd/labels/test1.txt": b"banded/b.jpg",
    }
    write_known(Textures, tmp_path, members, monkeypatch)
    loaded = Textures().load(tmp_path, "test")
    banded = loaded.images[0]
    assert banded.shape == (32, 32, 3)
    assert (banded[:, :14] == 200).all()
    assert (banded[:, 18:] == 100).all()
    assert loaded.labels.tolist() == [0, 1]


def test_tinyimagenet_is_labelled_by_its_annotations(tmp_path, monkeypatch):
    images = pictures(3, 64, 64, 3)
    validation = "tiny-imagenet-200/val"
    wordnet = ["n07749582", "n01443537", "n07749582"]
    members = {
        f"{validation}/images/val_{index}.JPEG": png(image) for index, image in enumerate(images)
    }
    members[f"{validation}/val_annotations.txt"] = "".join(
        f"val_{index}.JPEG\t{name}\t0\t32\t44\t62\n" for index, name in enumerate(wordnet)
    ).encode()
    members["tiny-imagenet-200/train/n01443537/images/n01443537_0.JPEG"] = png(images[0])
    write_known(TinyImageNet, tmp_path, members, monkeypatch)
    loaded = TinyImageNet().load(tmp_path, "test")
    assert np.array_equal(loaded.images, images)
    assert loaded.labels.tolist() == [1, 0, 1]


def test_grey_picture_of_a_colour_set_gets_three_channels(tmp_path, monkeypatch):
    grey = pictures(1, 32, 32)[0]
    write_known(Lsun, tmp_path, {"LSUN_resize/LSUN_resize/1.png": png(grey)}, monkeypatch)
    (image,) = Lsun().load(tmp_path, "test").images
    assert np.array_equal(image, np.stack([grey] * 3, axis=2))
