"""Packs are read with care, and images fitted to the geometry of the ID data set."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oodbench.contracts import Dataset, Info
from oodbench.errors import InvalidData
from oodbench.images.geometry import read_pack, select, title_in, to_geometry

GREY = np.arange(3 * 8 * 8, dtype=np.uint8).reshape(3, 8, 8)
LABELS = np.array([0, 1, 2])


def pack(path: Path, **arrays: object) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def test_a_pack_is_read_with_its_note(tmp_path: Path) -> None:
    found = read_pack(pack(tmp_path / "a.npz", images=GREY, labels=LABELS, note="half of it"))
    np.testing.assert_array_equal(found.images, GREY)
    np.testing.assert_array_equal(found.labels, LABELS)
    assert found.labels.dtype == np.int64
    assert found.note == "half of it"


def test_a_pack_needs_no_note(tmp_path: Path) -> None:
    assert read_pack(pack(tmp_path / "a.npz", images=GREY, labels=LABELS)).note == ""


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"images": GREY}, "no array named 'labels'"),
        ({"labels": LABELS}, "no array named 'images'"),
        ({"images": GREY.astype(float), "labels": LABELS}, "images are float64, not uint8"),
        ({"images": GREY[0], "labels": LABELS}, r"shape \(8, 8\), not \(N, H, W\)"),
        ({"images": np.zeros((3, 8, 8, 4), np.uint8), "labels": LABELS}, r"shape \(3, 8, 8, 4\)"),
        ({"images": GREY[:0], "labels": LABELS[:0]}, "there are no images in it"),
        ({"images": GREY, "labels": LABELS[:2]}, r"labels are int64 \(2,\), not int64 \(3,\)"),
        ({"images": GREY, "labels": LABELS / 2}, "labels are float64"),
        ({"images": GREY, "labels": np.array([None] * 3)}, "damaged or not an .npz file"),
        ({"images": GREY, "labels": LABELS - 2}, "labels are -2 to 0, not classes from 0 up"),
        ({"images": GREY, "labels": np.array([2**63] * 3, np.uint64)}, "not classes from 0 up"),
    ],
)
def test_a_pack_of_another_form_is_named(tmp_path: Path, arrays: dict, complaint: str) -> None:
    path = pack(tmp_path / "odd.npz", **arrays)
    with pytest.raises(InvalidData, match=rf"odd\.npz: .*{complaint}"):
        read_pack(path)


def truncated(path: Path) -> None:
    content = pack(path, images=GREY, labels=LABELS).read_bytes()
    path.write_bytes(content[: len(content) // 2])


def corrupt(path: Path) -> None:
    """Damage the compressed bytes of the images, so that the archive's list is still sound."""
    pack(path, images=GREY, labels=LABELS)
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("images.npy").header_offset + 100
    content = bytearray(path.read_bytes())
    content[place : place + 8] = bytes(8)
    path.write_bytes(content)


def garbage(path: Path) -> None:
    path.write_bytes(b"no images at all")


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def single_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, GREY)


def folder(path: Path) -> None:
    path.mkdir()


def with_header(path: Path, header: str) -> None:
    """Write a pack whose images have a header of our own, before the bytes of three."""
    np.savez(path, labels=LABELS)
    text = header.ljust(117) + "\n"
    magic = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("images.npy", magic + text.encode() + GREY.tobytes())


def too_many_images(path: Path) -> None:
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000, 8, 8), }"
    with_header(path, header)


def shape_of_true(path: Path) -> None:
    with_header(path, "{'descr': '|u1', 'fortran_order': False, 'shape': (True, 3, 64), }")


def cut_header(path: Path) -> None:
    with_header(path, "{'descr': '|u1', 'fortran_order': False, 'shape': (3, 8")


def bomb(path: Path) -> None:
    np.savez_compressed(path, images=np.zeros((70_000, 32, 32), np.uint8), labels=LABELS)


MAKERS = [truncated, corrupt, garbage, nothing, single_array, folder]
MAKERS += [too_many_images, shape_of_true, cut_header, bomb]


@pytest.mark.parametrize("make", MAKERS)
def test_a_file_that_is_no_pack_is_named(tmp_path: Path, make) -> None:
    path = tmp_path / "broken.npz"
    make(path)
    with pytest.raises(InvalidData, match=r"broken\.npz: damaged or not an \.npz file"):
        read_pack(path)


def test_grey_images_of_the_right_size_only_get_a_channel() -> None:
    fitted = to_geometry(GREY, (1, 8, 8))
    np.testing.assert_array_equal(fitted, GREY[:, None])
    assert fitted.flags.c_contiguous


def test_grey_is_repeated_for_colour() -> None:
    np.testing.assert_array_equal(to_geometry(GREY, (3, 8, 8)), np.stack([GREY] * 3, axis=1))


def test_colour_keeps_its_channels() -> None:
    colour = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3), dtype=np.uint8)
    np.testing.assert_array_equal(to_geometry(colour, (3, 4, 6)), colour.transpose(0, 3, 1, 2))


def test_colour_becomes_luma() -> None:
    pure = np.eye(3, dtype=np.uint8)[None] * 255
    assert to_geometry(pure[:, :, None, :], (1, 3, 1)).ravel().tolist() == [76, 150, 29]


def test_grey_and_luma_agree_with_pillow() -> None:
    colour = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3), dtype=np.uint8)
    ours = to_geometry(colour, (1, 16, 16))[0, 0].astype(int)
    pillows = np.asarray(Image.fromarray(colour[0]).convert("L")).astype(int)
    assert np.abs(ours - pillows).max() <= 1


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (13, 40)])
def test_resizing_agrees_with_pillow(size: tuple[int, int]) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    ours = to_geometry(photo, (3, *size))[0].transpose(1, 2, 0).astype(int)
    picture = Image.fromarray(photo[0]).resize(size[::-1], Image.Resampling.BILINEAR)
    assert np.abs(ours - np.asarray(picture).astype(int)).max() <= 1


def test_many_images_are_fitted_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).integers(0, 256, (7, 8, 8), dtype=np.uint8)
    whole = to_geometry(images, (1, 5, 5))
    monkeypatch.setattr("oodbench.images.geometry.CHUNK", 3)
    np.testing.assert_array_equal(to_geometry(images, (1, 5, 5)), whole)


class Named(Dataset):
    """A data set of a given geometry."""

    def __init__(self, channels: int) -> None:
        self.info = Info(name="cifar", title="CIFAR-10", summary="")
        self.shape = (channels, 32, 32)

    def load(self, root, split):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("channels", "shape", "title"),
    [
        (3, (1, 28, 28), "CIFAR-10-bw"),
        (1, (3, 32, 32), "CIFAR-10-resized"),
        (3, (3, 28, 28), "CIFAR-10"),
        (1, (1, 28, 28), "CIFAR-10"),
    ],
)
def test_sets_are_named_as_in_the_literature(channels: int, shape: tuple, title: str) -> None:
    assert title_in(Named(channels), shape) == title


def test_all_images_are_selected_where_there_are_not_more() -> None:
    assert select(5, 5, seed=0).tolist() == [0, 1, 2, 3, 4]
    assert select(5, 10, seed=0).tolist() == [0, 1, 2, 3, 4]


def test_a_selection_is_a_sorted_draw_without_repetition_by_seed() -> None:
    chosen = select(1000, 100, seed=0)
    assert len(np.unique(chosen)) == 100
    assert chosen.tolist() == sorted(chosen.tolist())
    assert chosen.tolist() == select(1000, 100, seed=0).tolist()
    assert chosen.tolist() != select(1000, 100, seed=1).tolist()
    assert abs(chosen.mean() - 499.5) < 100
