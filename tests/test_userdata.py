"""A user's own images serve as data set without a plugin, or are refused with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oodbench.errors import InvalidData, UserError
from oodbench.userdata import UserImages, is_path


def picture(path: Path, value: int = 0, size: tuple[int, int] = (6, 4), mode: str = "L") -> None:
    """Write a picture of one brightness; ``size`` is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode in ("L", "1") else (value,) * len(mode)).save(path)


def pack(path: Path, count: int = 3, classes: int = 2) -> None:
    images = np.full((count, 4, 6), 7, dtype=np.uint8)
    np.savez(path, images=images, labels=np.arange(count) % classes)


@pytest.mark.parametrize("name", ["path/to", "./images", "../images", ".", "/tmp", "mine.npz"])
def test_paths_are_told_from_names(name: str) -> None:
    assert is_path(name)


@pytest.mark.parametrize("name", ["mnist", "photo-patches", "v1.5"])
def test_names_are_told_from_paths(name: str) -> None:
    assert not is_path(name)


def test_a_folder_is_an_ood_set_without_labels(tmp_path: Path) -> None:
    for name, value in (("b.png", 2), ("a.jpg", 1), ("c.BMP", 3)):
        picture(tmp_path / "mine" / name, value)
    (tmp_path / "mine" / "notes.txt").write_text("no image")
    dataset = UserImages(path=str(tmp_path / "mine"))
    found = dataset.load(tmp_path, "test")
    assert dataset.info.label == "mine"
    assert dataset.shape == (1, 4, 6)
    assert dataset.splits == ("test",)
    assert found.images.shape == (3, 4, 6)
    assert found.images[:, 0, 0].tolist() == [1, 2, 3]
    assert found.labels.tolist() == [-1, -1, -1]


def test_a_pack_is_an_ood_set(tmp_path: Path) -> None:
    pack(tmp_path / "mine.npz")
    dataset = UserImages(path=str(tmp_path / "mine.npz"))
    assert dataset.info.label == "mine"
    assert (dataset.shape, dataset.num_classes, dataset.splits) == ((1, 4, 6), 2, ("test",))
    assert len(dataset.load(tmp_path, "test")) == 3


def test_one_picture_is_a_set(tmp_path: Path) -> None:
    picture(tmp_path / "one.png")
    assert len(UserImages(path=str(tmp_path / "one.png")).load(tmp_path, "test")) == 1


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_grey_of_16_bits_keeps_its_shades(tmp_path: Path, suffix: str) -> None:
    shades = np.array([[0, 100, 129, 257, 32768, 65535]], dtype=np.uint16)
    Image.fromarray(shades).save(tmp_path / f"deep{suffix}")
    found = UserImages(path=str(tmp_path / f"deep{suffix}")).load(tmp_path, "test")
    assert found.images.tolist() == [[[0, 0, 1, 1, 128, 255]]]


def test_a_picture_of_unknown_range_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0.0, 0.5]], dtype=np.float32)).save(tmp_path / "real.tif")
    with pytest.raises(InvalidData, match=r"real\.tif: has 32 bits a pixel; convert it"):
        UserImages(path=str(tmp_path / "real.tif"))


def test_folders_within_are_classes_by_name(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for value, name in enumerate(["cat", "dog", "eel"]):
            picture(tmp_path / "id" / split / name / "1.png", value)
    dataset = UserImages(path=str(tmp_path / "id"))
    assert dataset.splits == ("train", "test")
    assert dataset.num_classes == 3
    for split in dataset.splits:
        found = dataset.load(tmp_path, split)
        assert found.images[:, 0, 0].tolist() == found.labels.tolist() == [0, 1, 2]


def test_a_class_that_the_test_images_lack_shifts_no_label(tmp_path: Path) -> None:
    for name in ("train/cat", "train/dog", "train/eel", "test/cat", "test/eel"):
        picture(tmp_path / "id" / name / "1.png")
    dataset = UserImages(path=str(tmp_path / "id"))
    assert dataset.load(tmp_path, "test").labels.tolist() == [0, 2]


def test_a_class_without_training_images_is_refused(tmp_path: Path) -> None:
    for name in ("train/cat", "train/dog", "test/cat", "test/eel"):
        picture(tmp_path / "id" / name / "1.png")
    dataset = UserImages(path=str(tmp_path / "id"))
    with pytest.raises(InvalidData, match=r"'eel'.* not among .*cat, dog"):
        dataset.load(tmp_path, "test")


def test_packs_with_a_common_beginning_are_an_id_set(tmp_path: Path) -> None:
    pack(tmp_path / "mine-train.npz", count=9, classes=3)
    pack(tmp_path / "mine-test.npz", count=4)
    dataset = UserImages(path=str(tmp_path / "mine"))
    assert (dataset.splits, dataset.num_classes) == (("train", "test"), 3)
    assert [len(dataset.load(tmp_path, split)) for split in dataset.splits] == [9, 4]


def test_one_coloured_picture_makes_the_set_coloured(tmp_path: Path) -> None:
    picture(tmp_path / "mine" / "a.png", 9, mode="RGB")
    picture(tmp_path / "mine" / "b.png", 5)
    dataset = UserImages(path=str(tmp_path / "mine"))
    assert dataset.shape == (3, 4, 6)
    assert dataset.load(tmp_path, "test").images[:, 0, 0].tolist() == [[9] * 3, [5] * 3]


def test_a_grey_picture_in_front_does_not_take_the_colours_of_the_others(tmp_path: Path) -> None:
    picture(tmp_path / "mine" / "a.png", 5)
    picture(tmp_path / "mine" / "b.png", 9, mode="RGB")
    dataset = UserImages(path=str(tmp_path / "mine"))
    assert dataset.shape == (3, 4, 6)
    assert dataset.load(tmp_path, "test").images[:, 0, 0].tolist() == [[5] * 3, [9] * 3]


def test_transparency_is_dropped(tmp_path: Path) -> None:
    picture(tmp_path / "mine" / "a.png", 9, mode="RGBA")
    assert UserImages(path=str(tmp_path / "mine")).load(tmp_path, "test").images.shape[-1] == 3


@pytest.mark.parametrize("suffix", ["", "/", "/."])
def test_a_folder_is_named_by_its_last_part(tmp_path: Path, suffix: str) -> None:
    picture(tmp_path / "photos.v2" / "a.png")
    assert UserImages(path=f"{tmp_path}/photos.v2{suffix}").info.name == "photos.v2"


def test_the_current_folder_has_a_name(tmp_path: Path, monkeypatch) -> None:
    picture(tmp_path / "here" / "a.png")
    monkeypatch.chdir(tmp_path / "here")
    assert UserImages(path=".").info.name == "here"


@pytest.mark.parametrize("name", ["missing", "empty", "missing.npz", "texts"])
def test_no_images_is_the_users_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "notes.txt").write_text("no image")
    with pytest.raises(UserError, match=f"{name}: neither an .npz file nor a folder of images"):
        UserImages(path=str(tmp_path / name))


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    picture(tmp_path / "mine" / "a.png")
    (tmp_path / "mine" / "b.png").write_bytes(b"\x89PNG nothing")
    with pytest.raises(InvalidData, match=r"b\.png: not a readable image"):
        UserImages(path=str(tmp_path / "mine"))


def test_a_truncated_picture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine" / "a.png"
    path.parent.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InvalidData, match=r"a\.png: not a readable image"):
        UserImages(path=str(tmp_path / "mine"))


def test_pictures_of_two_sizes_are_refused(tmp_path: Path) -> None:
    picture(tmp_path / "mine" / "a.png", size=(6, 4))
    picture(tmp_path / "mine" / "b.png", size=(4, 6))
    dataset = UserImages(path=str(tmp_path / "mine"))
    with pytest.raises(InvalidData, match=r"b\.png: image is 4x6, but others of the set are 6x4"):
        dataset.load(tmp_path, "test")


def test_a_text_file_is_not_taken_for_a_picture(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(InvalidData, match=r"notes\.txt: not a readable image"):
        UserImages(path=str(tmp_path / "notes.txt"))
