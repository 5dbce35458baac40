"""OpenOOD's lists of pictures are followed to the letter; what stands in for them is said."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from dataset_files import md5, pictures, png, write_archive, write_idx
from PIL import Image

from oodbench.contracts import DataUnavailable, InvalidData
from oodbench.images.geometry import to_geometry
from oodbench.images.sources import locate
from oodbench_openood.large import Ninco, OpenOodImageNet, OpenOodImageNet200, SsbHard
from oodbench_openood.lists import read_list
from oodbench_openood.pictures import Pictures, fit_picture
from oodbench_openood.places import Places365
from oodbench_openood.small import (
    OpenOodCifar10,
    OpenOodCifar10Validation,
    OpenOodMnist,
    OpenOodTinyImageNet,
)


def write_listed(root: Path, place: str, name: str, images: dict[str, np.ndarray], labels=None):
    """Write pictures in OpenOOD's layout, and a list that names them in the order given."""
    labels = [-1] * len(images) if labels is None else labels
    lines = []
    for (path, image), label in zip(images.items(), labels, strict=True):
        file = root / place / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(image))
        lines.append(f"{path} {label}\n")
    path = root / "benchmark_imglist" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines))
    return path


def write_pack(path: Path, images: np.ndarray, **others) -> None:
    np.savez(path, images=images, labels=np.arange(len(images)), **others)


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (50, 33), (33, 50), (20, 90), (7, 7)])
@pytest.mark.parametrize(("reduced", "side"), [(32, 32), (256, 224)])
def test_pictures_are_cut_as_openood_cuts_them(size, reduced: int, side: int) -> None:
    from torchvision import transforms

    picture = Image.fromarray(pictures(1, *size, 3)[0])
    theirs = transforms.Compose([transforms.Resize(reduced), transforms.CenterCrop(side)])
    ours = fit_picture(picture, (3, side, side))
    np.testing.assert_array_equal(ours, np.array(theirs(picture)))


def test_pictures_cover_a_geometry_that_is_no_square() -> None:
    picture = Image.fromarray(pictures(1, 30, 60, 3)[0])
    assert fit_picture(picture, (1, 20, 24)).shape == (20, 24)
    np.testing.assert_array_equal(fit_picture(picture, (3, 30, 24)), np.array(picture)[:, 18:42])


def test_pictures_are_decoded_when_they_are_asked_for(tmp_path: Path) -> None:
    images = pictures(3, 8, 8, 3)
    files = [tmp_path / f"{number}.png" for number in range(3)]
    for file, image in zip(files[:2], images, strict=False):
        file.write_bytes(png(image))
    found = Pictures(files, (3, 8, 8))
    assert (found.shape, found.dtype, found.ndim, len(found)) == ((3, 8, 8, 3), np.uint8, 4, 3)
    np.testing.assert_array_equal(found[np.array([1, 0])], images[[1, 0]])
    np.testing.assert_array_equal(to_geometry(found[:2], (3, 8, 8)), np.moveaxis(images[:2], 3, 1))
    with pytest.raises(InvalidData, match=r"2\.png: not a readable picture"):
        np.asarray(found)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty"),
        ("a.png 0\nb.png\n", "line 2 is not a path"),
        ("a.png x\n", "line 1 is not a path"),
        ("../a.png 0\n", "line 1 is not a path below the folder"),
        ("/a.png 0\n", "line 1 is not a path below the folder"),
        ("a.png 0\n\n", "line 2 is not a path"),
    ],
)
def test_damaged_lists_are_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "list.txt"
    path.write_text(text)
    with pytest.raises(InvalidData, match=rf"list\.txt: {complaint}"):
        read_list(path)


def test_a_set_has_the_pictures_of_its_list_in_order(tmp_path: Path) -> None:
    images = dict(zip(("b/2.png", "a/1.png"), pictures(2, 32, 32, 3), strict=True))
    write_listed(tmp_path, "images_largescale", "imagenet/test_ssb_hard.txt", images)
    other = dict(zip(("b/2.png",), pictures(1, 32, 32, 3, seed=1), strict=True))
    write_listed(tmp_path, "elsewhere", "imagenet200/test_ssb_hard.txt", other)
    found = locate(SsbHard().fitted((3, 32, 32)), "test", tmp_path, download=False).load()
    np.testing.assert_array_equal(found.images, list(images.values()))
    assert found.labels.tolist() == [-1, -1]
    assert found.note == ""
    assert len(SsbHard(lists="imagenet200").load(tmp_path, "test")) == 1


def test_without_lists_the_message_says_what_goes_where(tmp_path: Path) -> None:
    with pytest.raises(
        DataUnavailable,
        match=r"lacks benchmark_imglist/imagenet/test_ssb_hard.txt .* images_largescale of OpenOOD",
    ):
        locate(SsbHard(), "test", tmp_path)


def test_a_picture_that_is_missing_is_named(tmp_path: Path) -> None:
    images = {"a.png": pictures(1, 8, 8, 3)[0], "b.png": pictures(1, 8, 8, 3)[0]}
    write_listed(tmp_path, "images_largescale", "imagenet/test_ssb_hard.txt", images)
    (tmp_path / "images_largescale" / "b.png").unlink()
    with pytest.raises(DataUnavailable, match=r"lacks images_largescale/b\.png"):
        locate(SsbHard(), "test", tmp_path)


def test_another_picture_is_another_set(tmp_path: Path) -> None:
    def fingerprint(seed: int) -> str:
        images = {"a.png": pictures(1, 8, 8, 3, seed=seed)[0]}
        write_listed(tmp_path, "images_largescale", "imagenet/test_ssb_hard.txt", images)
        return locate(SsbHard(), "test", tmp_path).fingerprint

    assert fingerprint(0) == fingerprint(0) != fingerprint(1)


def test_a_whole_set_stands_in_for_a_list_and_says_so(tmp_path: Path) -> None:
    images = pictures(4, 64, 64, 3)
    write_pack(tmp_path / "tinyimagenet-test.npz", images, note="Four images.")
    found = locate(OpenOodTinyImageNet(), "test", tmp_path, download=False).load()
    np.testing.assert_array_equal(found.images, images)
    assert found.labels.tolist() == [-1] * 4
    assert found.note == (
        "all 4 test images of TinyImageNet are used, since OpenOOD's selection "
        "(benchmark_imglist/cifar10/test_tin.txt) is not in the data folder; Four images."
    )


def test_a_grey_pack_stands_in_for_a_set_in_colour(tmp_path: Path) -> None:
    images = pictures(2, 64, 64)
    write_pack(tmp_path / "tinyimagenet-test.npz", images)
    found = locate(OpenOodTinyImageNet(), "test", tmp_path, download=False).load().images
    np.testing.assert_array_equal(found, np.repeat(images[..., None], 3, axis=3))


def test_the_list_comes_before_what_stands_in(tmp_path: Path) -> None:
    write_pack(tmp_path / "tinyimagenet-test.npz", pictures(4, 64, 64, 3))
    images = {"tin/1.png": pictures(1, 64, 64, 3, seed=1)[0]}
    write_listed(tmp_path, "images_classic", "cifar100/test_tin.txt", images)
    assert len(locate(OpenOodTinyImageNet(), "test", tmp_path).load()) == 4
    listed = locate(OpenOodTinyImageNet(lists="cifar100"), "test", tmp_path).load()
    np.testing.assert_array_equal(listed.images, list(images.values()))


def test_files_of_the_other_set_stand_in_too(tmp_path: Path) -> None:
    images = pictures(3, 28, 28)
    write_idx(tmp_path / "MNIST/raw/t10k-images-idx3-ubyte", images)
    write_idx(tmp_path / "MNIST/raw/t10k-labels-idx1-ubyte", np.arange(3))
    source = locate(OpenOodMnist().fitted((3, 32, 32)), "test", tmp_path, download=False)
    found = source.load()
    np.testing.assert_array_equal(found.images, images)
    assert found.labels.tolist() == [-1] * 3
    assert "all 3 test images of MNIST" in found.note


def test_a_damaged_pack_that_stands_in_is_named(tmp_path: Path) -> None:
    (tmp_path / "tinyimagenet-test.npz").write_bytes(b"PK truncated")
    with pytest.raises(InvalidData, match=r"tinyimagenet-test\.npz: damaged"):
        locate(OpenOodTinyImageNet(), "test", tmp_path).load()


def test_id_sets_have_the_classes_of_their_lists(tmp_path: Path) -> None:
    for split, count in (("train", 3), ("test", 2)):
        paths = [f"cifar10/{split}/{number}.png" for number in range(count)]
        images = dict(zip(paths, pictures(count, 32, 32, 3), strict=True))
        write_listed(
            tmp_path, "images_classic", f"cifar10/{split}_cifar10.txt", images, range(count)
        )
    assert OpenOodCifar10().load(tmp_path, "train").labels.tolist() == [0, 1, 2]
    assert OpenOodCifar10().load(tmp_path, "test").labels.tolist() == [0, 1]


def test_validation_images_are_those_of_the_list_of_their_own(tmp_path: Path) -> None:
    for prefix, label in (("val", 7), ("test", 8)):
        images = {f"cifar10/{prefix}/0.png": pictures(1, 32, 32, 3)[0]}
        write_listed(tmp_path, "images_classic", f"cifar10/{prefix}_cifar10.txt", images, [label])
    dataset = OpenOodCifar10Validation()
    assert locate(dataset, "test", tmp_path).load().labels.tolist() == [7]
    (tmp_path / "benchmark_imglist" / "cifar10" / "val_cifar10.txt").unlink()
    with pytest.raises(DataUnavailable, match=r"lacks benchmark_imglist/cifar10/val_cifar10\.txt"):
        locate(dataset, "test", tmp_path)


def write_imagenet(root: Path, name: str = "imagenet") -> dict[str, np.ndarray]:
    """Write an ImageNet of two classes, and ImageNet-C and -R with an image each."""
    images = {}
    for split, count in (("train", 6), ("test", 2), ("test_c", 1), ("test_r", 1)):
        found = pictures(count, 224, 224, 3, seed=count)
        paths = [f"{split}/{number}.png" for number in range(count)]
        split, _, shift = split.partition("_")
        suffix = f"_{shift}" if shift else ""
        images |= dict(zip(paths, found, strict=True))
        write_listed(
            root,
            "images_largescale",
            f"{name}/{split}_{name}{suffix}.txt",
            dict(zip(paths, found, strict=True)),
            [number % 2 for number in range(count)],
        )
    return images


def test_detectors_learn_from_the_first_pictures_of_each_class(tmp_path: Path) -> None:
    write_imagenet(tmp_path)
    dataset = OpenOodImageNet(train_per_class=2)
    assert dataset.load(tmp_path, "train").labels.tolist() == [0, 1, 0, 1]
    names = [path.name for path in dataset.files(tmp_path, "train")]
    assert names == ["train_imagenet.txt", "0.png", "1.png", "2.png", "3.png"]
    assert "at most 2 training pictures" in dataset.load(tmp_path, "test").note
    whole = OpenOodImageNet(train_per_class=None)
    assert len(whole.load(tmp_path, "train")) == 6
    assert whole.load(tmp_path, "test").note == ""


def test_shifted_pictures_are_id_test_images_of_the_full_spectrum(tmp_path: Path) -> None:
    images = write_imagenet(tmp_path, "imagenet200")
    found = OpenOodImageNet200(shifts=("c", "r")).load(tmp_path, "test")
    assert found.labels.tolist() == [0, 1, 0, 0]
    # ImageNet-C was published at 224x224; of the others the middle of a larger version is taken
    np.testing.assert_array_equal(found.images[2], images["test_c/0.png"])
    cut = fit_picture(Image.fromarray(images["test_r/0.png"]), (3, 224, 224))
    np.testing.assert_array_equal(found.images[3], cut)
    assert len(OpenOodImageNet200(shifts=("c", "r")).load(tmp_path, "train")) == 6
    with pytest.raises(DataUnavailable, match=r"lacks .*/test_imagenet200_v2\.txt"):
        OpenOodImageNet200(shifts=("v2",)).load(tmp_path, "test")


def test_pictures_to_be_taken_as_they_are_must_have_the_size(tmp_path: Path) -> None:
    write_imagenet(tmp_path)
    found = OpenOodImageNet(shifts=("c",)).fitted((3, 32, 32)).load(tmp_path, "test")
    with pytest.raises(InvalidData, match="is 224x224 pixels, and OpenOOD takes it as it is"):
        np.asarray(found.images)


def test_fewer_than_one_picture_of_a_class_are_refused() -> None:
    with pytest.raises(ValueError, match="train_per_class must be at least 1, not 0"):
        OpenOodImageNet(train_per_class=0)


def test_places_are_read_out_of_their_archive_in_order(tmp_path: Path) -> None:
    images = pictures(2, 256, 256, 3)
    archive = tmp_path / Places365.archive
    archive.parent.mkdir()
    with tarfile.open(archive, "w:") as tar:
        for number in (1, 0):
            content = png(images[number])
            member = tarfile.TarInfo(f"val_256/Places365_val_0000000{number}.jpg")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))

    class Two(Places365):
        def published(self):
            return "http://nowhere", md5(archive)

    found = Two().fitted((3, 64, 64)).load(tmp_path, "test")
    cut = [fit_picture(Image.fromarray(image), (3, 64, 64)) for image in images]
    np.testing.assert_array_equal(found.images, cut)
    with pytest.raises(InvalidData, match=r"val_256\.tar: damaged, or not the published file"):
        Places365().load(tmp_path, "test")


def test_ninco_stands_in_as_it_was_published(tmp_path: Path) -> None:
    images = pictures(2, 30, 40, 3)
    archive = tmp_path / Ninco.archive
    folder = "NINCO/NINCO_OOD_classes"
    members = {f"{folder}/{name}/1.png": png(each) for name, each in zip("ab", images, strict=True)}
    write_archive(archive, {**members, "NINCO/NINCO_OOD_unit_tests/1.png": png(images[0])})

    class Two(Ninco):
        def published(self):
            return "http://nowhere", md5(archive)

    found = Two().fitted((3, 32, 32)).load(tmp_path, "test")
    cut = [fit_picture(Image.fromarray(image), (3, 32, 32)) for image in images]
    np.testing.assert_array_equal(found.images, cut)
    assert found.labels.tolist() == [-1, -1]


def test_checksums_are_those_that_libraries_know() -> None:
    from torchvision.datasets import Places365 as TheirPlaces

    url, digest = Places365().published()
    assert (url.rpartition("/")[2], digest) == TheirPlaces._IMAGES_META["val", True]
    assert url.startswith(TheirPlaces._BASE_URL)
    assert Ninco().published()[0].endswith("/NINCO_all.tar.gz")
