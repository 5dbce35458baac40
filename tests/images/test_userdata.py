"""A user's own images serve as data set without a plugin, or are refused with a reason."""

from __future__ import annotations

import itertools
import os
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from oodbench.errors import InvalidData, UserError
from oodbench.images.pictures import fit_picture
from oodbench.images.userdata import UserImages, is_path


def picture(path: Path, value: int = 0, size: tuple[int, int] = (6, 4), mode: str = "L") -> None:
    """Write a picture of one brightness; ``size`` is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode in ("L", "1") else (value,) * len(mode)).save(path)


def pictures(folder: Path, *names: str) -> UserImages:
    """Write a picture for each name, and return the set of all."""
    for value, name in enumerate(names):
        picture(folder / name, value)
    return UserImages(path=str(folder))


def pack(path: Path, count: int = 3, classes: int = 2) -> None:
    labelled_pack(path, (np.arange(count) % classes).tolist())


def labelled_pack(path: Path, labels: list[int]) -> None:
    np.savez(path, images=np.full((len(labels), 4, 6), 7, dtype=np.uint8), labels=labels)


@pytest.mark.parametrize(
    "name", ["path/to", "./images", "../images", ".", "/tmp", "~", "mine.npz", "a.parquet"]
)
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
    assert np.asarray(found.images).tolist() == [[[0, 0, 1, 1, 128, 255]]]


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
    with pytest.raises(InvalidData, match=r"'eel'.* not among .*cat, dog"):
        UserImages(path=str(tmp_path / "id"))


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


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", "neither an .npz file nor a folder of images"),
        ("missing.npz", "neither an .npz file nor a folder of images"),
        ("empty", "the folder is empty"),
        ("texts", r"no images in the folder, only other files: 1 \(\.txt\)"),
        ("rows.parquet", "there are no images in it"),
        ("images.npz", "there are no images in it"),
    ],
)
def test_no_images_is_the_users_error(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "notes.txt").write_text("no image")
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = pa.table({"image": pa.array([], image), "label": pa.array([], pa.int64())})
    pq.write_table(rows, tmp_path / "rows.parquet")
    nothing = np.zeros((0, 8, 8), np.uint8)
    np.savez(tmp_path / "images.npz", images=nothing, labels=np.zeros(0, np.int64))
    with pytest.raises(UserError, match=f"{name}: {message}"):
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
    dataset = UserImages(path=str(tmp_path / "mine"))
    with pytest.raises(InvalidData, match=r"a\.png: not a readable image"):
        np.asarray(dataset.load(tmp_path, "test").images)


def striped(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Write a picture of random pixels, and return them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(size).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def test_pictures_of_any_size_are_fitted_to_the_id_images(tmp_path: Path) -> None:
    wide = striped(tmp_path / "mine" / "a.png", (40, 20))
    high = striped(tmp_path / "mine" / "b.png", (30, 90))
    small = striped(tmp_path / "mine" / "c.png", (10, 10))
    dataset = UserImages(path=str(tmp_path / "mine")).fitted((1, 10, 10))
    assert dataset.shape == (3, 10, 10)
    images = dataset.load(tmp_path, "test").images
    assert images.shape == (3, 10, 10, 3)
    # Shorter side resized, then the centre cut out, by a library of its own.
    for found, pixels, side, cut in (
        (images[0], wide, (20, 10), np.s_[:, 5:15]),
        (images[1], high, (10, 30), np.s_[10:20]),
    ):
        resized = np.asarray(Image.fromarray(pixels).resize(side, Image.Resampling.BILINEAR))
        assert np.abs(found.astype(int) - resized[cut]).max() <= 1
    assert np.array_equal(images[2], small)
    assert dataset.describe("test") == (
        "3 images, of 3 sizes (10x10 to 30x90): shorter side resized, centre of 10x10 cut out"
    )


def test_every_size_can_be_fitted_to_every_other() -> None:
    sizes = [1, 2, 3, 5, 7, 16, 28, 33, 59, 224, 1023]
    for height, width, *own in itertools.product(sizes[:8], sizes[:8], sizes, sizes):
        fitted = np.asarray(fit_picture(Image.new("L", own, 7), height, width))
        assert fitted.shape == (height, width)
        assert (fitted == 7).all()


def test_an_id_set_of_many_sizes_becomes_squares(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for name, size in (("cat/1", (40, 20)), ("dog/1", (31, 33))):
            striped(tmp_path / "id" / split / f"{name}.png", size)
    dataset = UserImages(path=str(tmp_path / "id"))
    assert dataset.shape == (3, 20, 20)
    assert "shorter side resized, centre of 20x20 cut out" in dataset.note("test")
    chosen = UserImages(path=str(tmp_path / "id"), size=16)
    assert chosen.shape == (3, 16, 16)
    assert chosen.load(tmp_path, "train").images.shape == (2, 16, 16, 3)
    with pytest.raises(UserError, match="the size of images is -1"):
        UserImages(path=str(tmp_path / "id"), size=-1)


def test_large_photographs_become_squares_of_224(tmp_path: Path) -> None:
    picture(tmp_path / "mine" / "a.png", size=(800, 600))
    assert UserImages(path=str(tmp_path / "mine")).shape == (1, 224, 224)
    picture(tmp_path / "other" / "a.png", size=(512, 512))
    assert UserImages(path=str(tmp_path / "other")).shape == (1, 512, 512)


def test_a_picture_of_48_megapixels_is_read(tmp_path: Path) -> None:
    Image.new("1", (8000, 6000), 1).save(tmp_path / "large.png")
    dataset = UserImages(path=str(tmp_path / "large.png")).fitted((1, 8, 8))
    assert np.array_equal(dataset.load(tmp_path, "test").images, np.full((1, 8, 8), 255))


def test_only_pictures_that_are_asked_for_are_decoded(tmp_path: Path) -> None:
    dataset = pictures(tmp_path / "mine", "a.png", "b.png", "c.png")
    (tmp_path / "mine" / "b.png").write_bytes(b"no picture")
    images = dataset.load(tmp_path, "test").images
    assert np.asarray(images[np.array([0, 2])])[:, 0, 0].tolist() == [0, 2]
    with pytest.raises(InvalidData, match=r"b\.png: not a readable image"):
        np.asarray(images)


def test_the_images_of_a_pack_have_one_size(tmp_path: Path) -> None:
    pack(tmp_path / "mine.npz")
    with pytest.raises(UserError, match="the images of a pack have one size; leave out size"):
        UserImages(path=f"{tmp_path}/mine.npz", size=8)


def test_a_text_file_is_not_taken_for_a_picture(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(InvalidData, match=r"notes\.txt: not a readable image"):
        UserImages(path=str(tmp_path / "notes.txt"))


SIX = [f"{name}/{number}.png" for name in ("cat", "dog", "eel") for number in range(2)]


@pytest.mark.parametrize("name", ["train", "Test"])
@pytest.mark.parametrize("beside", ["cat/1.png", "1.png"])
def test_a_folder_that_may_be_a_split_or_a_class_is_refused(tmp_path, name, beside) -> None:
    with pytest.raises(InvalidData, match=rf"{name}/ may be a set .*; move .*, or rename {name}/"):
        pictures(tmp_path / "mine", f"{name}/1.png", beside)


def test_what_is_no_image_may_lie_beside_the_splits(tmp_path: Path) -> None:
    (tmp_path / "id" / "docs").mkdir(parents=True)
    (tmp_path / "id" / "docs" / "readme.md").write_text("about")
    (tmp_path / "id" / "labels.csv").write_text("about")
    names = [f"{split}/{name}" for split in ("train", "val", "test") for name in SIX]
    dataset = pictures(tmp_path / "id", *names)
    assert [len(dataset.files(tmp_path, split)) for split in dataset.splits] == [6, 6, 6]


@pytest.mark.parametrize("name", ["val", "Valid", "validation", "dev"])
def test_a_folder_of_validation_images_is_a_split(tmp_path: Path, name: str) -> None:
    names = [f"{split}/{each}" for split in ("train", "test") for each in SIX]
    dataset = pictures(tmp_path / "id", *names, f"{name}/dog/0.png", f"{name}/eel/1.png")
    assert dataset.splits == ("train", "test", "validation")
    found = dataset.load(tmp_path, "validation")
    assert (found.labels.tolist(), found.note) == ([1, 2], "")
    assert dataset.note("test").endswith("; validation: 2 images in 2 classes (dog, eel)")
    with pytest.raises(InvalidData, match=r"has both \w+/ and \w+/"):
        pictures(tmp_path / "id", f"{'val' if name == 'dev' else 'dev'}/dog/0.png")


def test_validation_images_stand_in_for_missing_test_images(tmp_path: Path) -> None:
    dataset = pictures(
        tmp_path / "id", *(f"{split}/{name}" for split in ("train", "val") for name in SIX)
    )
    assert dataset.splits == ("train", "test")
    assert dataset.note("test").endswith(
        "the validation images are the test images, since there are no others"
    )


def test_packs_of_validation_images_are_a_split(tmp_path: Path) -> None:
    for split in ("train", "test", "validation"):
        pack(tmp_path / f"mine-{split}.npz")
    assert UserImages(path=str(tmp_path / "mine")).splits == ("train", "test", "validation")


def test_validation_alone_is_no_split(tmp_path: Path) -> None:
    dataset = pictures(tmp_path / "mine", "val/1.png", "other/1.png")
    assert dataset.splits == ("test",)
    assert dataset.load(tmp_path, "test").labels.tolist() == [0, 1]


def test_splits_are_known_whatever_the_case(tmp_path: Path) -> None:
    names = [f"{split}/{name}" for split in ("Train", "TEST") for name in SIX]
    assert pictures(tmp_path / "id", *names).splits == ("train", "test")


def test_a_linked_class_counts_like_any_other(tmp_path: Path) -> None:
    pictures(tmp_path / "elsewhere", "dog/0.png", "dog/1.png")
    pictures(tmp_path / "mine", "cat/0.png", "cat/1.png")
    (tmp_path / "mine" / "dog").symlink_to(tmp_path / "elsewhere" / "dog")
    dataset = UserImages(path=str(tmp_path / "mine"))
    assert dataset.load(tmp_path, "test").labels.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("target", [".", "cat", "dog"])
def test_a_folder_that_is_reached_twice_is_refused(tmp_path: Path, target: str) -> None:
    pictures(tmp_path / "mine", "cat/0.png", "dog/0.png")
    (tmp_path / "mine" / "cat" / "again").symlink_to(tmp_path / "mine" / target)
    with pytest.raises(InvalidData, match=r"the same folder as .*, by a link, .*remove one"):
        UserImages(path=str(tmp_path / "mine"))


@pytest.mark.parametrize("name", ["eel", "eel.png"])
def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path, name: str) -> None:
    pictures(tmp_path / "mine", "cat/0.png")
    (tmp_path / "mine" / name).symlink_to(tmp_path / "nowhere")
    with pytest.raises(InvalidData, match=f"{name}: a link that leads nowhere"):
        UserImages(path=str(tmp_path / "mine"))


@pytest.mark.parametrize(
    "hidden", [".ipynb_checkpoints", "__MACOSX", "@eaDir", "cat/.ipynb_checkpoints", "dog/.trash"]
)
def test_hidden_folders_shift_no_label(tmp_path: Path, hidden: str) -> None:
    names = [f"{split}/{name}" for split in ("train", "test") for name in (*SIX, "cat/._1.png")]
    hidden_ones = [f"train/{hidden}/0-checkpoint.png", f"{hidden}/1.png"]
    dataset = pictures(tmp_path / "id", *names, *hidden_ones)
    assert dataset.num_classes == 3
    for split in dataset.splits:
        assert dataset.load(tmp_path, split).labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_a_hidden_place_is_a_place(tmp_path: Path) -> None:
    assert len(pictures(tmp_path / ".mine", "0.png").load(tmp_path, "test")) == 1


@pytest.mark.parametrize(
    ("labels", "renumbered"),
    [
        ([*range(1, 11)], [*range(10)]),
        ([*range(0, 100, 10)], [*range(10)]),
        ([5, 0, 3, 5], [2, 0, 1, 2]),
        ([2**62, 7], [1, 0]),
    ],
)
def test_labels_of_an_id_set_become_0_to_k_minus_1(tmp_path, labels, renumbered) -> None:
    for split, chosen in (("train", labels), ("test", labels[:2])):
        labelled_pack(tmp_path / f"mine-{split}.npz", chosen)
    dataset = UserImages(path=str(tmp_path / "mine"))
    assert dataset.num_classes == len(set(labels))
    assert dataset.load(tmp_path, "train").labels.tolist() == renumbered
    assert dataset.load(tmp_path, "test").labels.tolist() == renumbered[:2]
    expected = f"the labels {min(labels)} to {max(labels)} became 0 to {max(renumbered)}"
    assert expected in dataset.load(tmp_path, "test").note


def test_a_label_without_training_images_is_refused(tmp_path: Path) -> None:
    labelled_pack(tmp_path / "mine-train.npz", [0, 1, 3])
    labelled_pack(tmp_path / "mine-test.npz", [0, 2])
    with pytest.raises(InvalidData, match=r"class '2' is not among .*: 0, 1, 3"):
        UserImages(path=str(tmp_path / "mine"))


@pytest.mark.parametrize(("train", "test"), [([0, 1, -1], [0]), ([0, 1], [0, -1])])
def test_an_id_image_without_a_class_is_refused(tmp_path: Path, train, test) -> None:
    labelled_pack(tmp_path / "mine-train.npz", train)
    labelled_pack(tmp_path / "mine-test.npz", test)
    with pytest.raises(InvalidData, match=r"1 of the (train|test) images have no class"):
        UserImages(path=str(tmp_path / "mine"))


def test_a_picture_beside_class_folders_is_refused_in_an_id_set(tmp_path: Path) -> None:
    names = [f"{split}/{name}" for split in ("train", "test") for name in SIX]
    with pytest.raises(InvalidData, match=r"train.stray\.png: 1 of the train images have no class"):
        pictures(tmp_path / "id", *names, "train/stray.png")


def test_a_class_of_which_nothing_can_be_read_is_refused_in_an_id_set(tmp_path: Path) -> None:
    (tmp_path / "id" / "train" / "fox").mkdir(parents=True)
    (tmp_path / "id" / "train" / "fox" / "1.heic").write_bytes(b"no such reader")
    names = [f"{split}/{name}" for split in ("train", "test") for name in SIX]
    with pytest.raises(InvalidData, match="fox: holds no image that can be read"):
        pictures(tmp_path / "id", *names)


def test_what_was_taken_is_said(tmp_path: Path) -> None:
    names = [f"{split}/{name}" for split in ("train", "test") for name in SIX]
    (tmp_path / "id" / "test").mkdir(parents=True)
    (tmp_path / "id" / "test" / "1.heic").write_bytes(b"no such reader")
    dataset = pictures(tmp_path / "id", *names, "train/fox/1.png")
    assert dataset.load(tmp_path, "test").note == (
        "train: 7 images in 4 classes (cat, dog, eel, fox); test: 6 images in 3 classes "
        "(cat, dog, eel), files that are not images: 1 (.heic)"
    )
    assert dataset.load(tmp_path, "train").note == ""


@pytest.mark.parametrize("suffix", ["gif", "png", "tiff", "webp"])
def test_that_only_the_first_of_several_frames_is_used_is_said(tmp_path: Path, suffix) -> None:
    first, second = (Image.new("RGB", (6, 4), (value,) * 3) for value in (10, 200))
    for name in ("1", "2"):
        first.save(tmp_path / f"{name}.{suffix}", save_all=True, append_images=[second])
    first.save(tmp_path / f"3.{suffix}")
    dataset = UserImages(path=str(tmp_path))
    images = dataset.load(tmp_path, "test")
    assert images.note == "3 images, files of which only the first frame is used: 2"
    assert np.abs(np.asarray(images.images).astype(int) - 10).max() <= 1


def test_the_previews_in_a_photograph_are_no_frames(tmp_path: Path) -> None:
    photograph = Image.new("RGB", (6, 4))
    photograph.save(tmp_path / "1.jpg", "MPO", save_all=True, append_images=[photograph])
    assert UserImages(path=str(tmp_path)).describe("test") == "1 images"


def test_of_many_classes_the_first_are_named(tmp_path: Path) -> None:
    dataset = pictures(tmp_path / "mine", *(f"{number:02}/1.png" for number in range(12)))
    assert dataset.describe("test") == (
        "12 images in 12 classes (00, 01, 02, 03, 04, 05, 06, 07, 08, 09, 2 more)"
    )


def test_the_home_folder_is_known_by_its_sign(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    pictures(tmp_path / "mine", "1.png")
    assert UserImages(path="~/mine").info.name == "mine"
    with pytest.raises(UserError, match="there is no such user"):
        UserImages(path="~nobody-of-that-name/mine")


def text_chunk(path: Path) -> None:
    """Write a picture with 2 MB of text, for which Pillow raises ValueError."""
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_text("comment", "a" * 2_000_000, zip=True)
    Image.new("L", (6, 4)).save(path, pnginfo=text)


def too_large(path: Path) -> None:
    header = Image.new("1", (6000, 6000))
    header.save(path)
    content = path.read_bytes()
    claimed = b"IHDR" + (14_000).to_bytes(4, "big") * 2 + content[24:29]
    checksum = zlib.crc32(claimed).to_bytes(4, "big")
    path.write_bytes(content[:12] + claimed + checksum + content[33:])


def pipe(path: Path) -> None:
    os.mkfifo(path)


def nothing(path: Path) -> None:
    path.touch()


@pytest.mark.parametrize("make", [text_chunk, too_large, pipe, nothing])
def test_a_hostile_picture_is_named_in_one_sentence(tmp_path: Path, make) -> None:
    make(tmp_path / "odd.png")
    with pytest.raises(UserError, match=r"odd\.png: .*") as caught:
        UserImages(path=str(tmp_path)).load(tmp_path, "test")
    assert len(str(caught.value).splitlines()) == 1


def test_a_path_that_is_too_long_is_the_users_error() -> None:
    with pytest.raises(UserError, match="cannot be read: File name too long"):
        UserImages(path="./" + "a" * 300)
