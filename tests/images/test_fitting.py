"""Images are fitted and written part by part, by as many processes as asked, to the same bytes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oodbench.errors import InvalidData
from oodbench.images import fitting
from oodbench.images.duplicates import hash_images
from oodbench.images.fitting import write_fitted
from oodbench.images.geometry import to_geometry
from oodbench.images.userdata import UserImages

SHAPE = (3, 12, 12)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of 40 pictures of different sizes."""
    place = tmp_path / "pictures"
    place.mkdir()
    random = np.random.default_rng(0)
    for number in range(40):
        pixels = random.integers(0, 256, (20 + number, 50 - number, 3), np.uint8)
        Image.fromarray(pixels).save(place / f"{number:02}.png")
    return place


@pytest.fixture
def small_parts(monkeypatch) -> None:
    monkeypatch.setattr(fitting, "PART_IMAGES", 7)
    monkeypatch.setattr(fitting, "WORTHWHILE", 1)


def pictures(folder: Path) -> np.ndarray:
    return UserImages(path=str(folder)).fitted(SHAPE).load(Path(), "test").images


class StandIn:
    """Stands in for an array, and cannot be pickled."""

    def __init__(self, images: np.ndarray) -> None:
        self.shape, self.dtype = images.shape, images.dtype
        self._read = lambda index: images[index]

    def __getitem__(self, index):
        return self._read(index)


class Deadly(StandIn):
    """Ends every process that it is sent to."""

    def __reduce__(self):
        return os._exit, (1,)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("cpus", [1, 2])
def test_the_file_is_that_of_all_images_written_at_once(folder, tmp_path, cpus: int) -> None:
    positions = np.array([0, *range(3, 40)])
    reports = []
    hashes = write_fitted(
        pictures(folder),
        positions,
        SHAPE,
        tmp_path / "parts.npy",
        cpus=cpus,
        progress=lambda *report: reports.append(report),
    )
    expected = to_geometry(np.asarray(pictures(folder)), SHAPE)[positions]
    np.save(tmp_path / "whole.npy", expected)
    assert (tmp_path / "parts.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    np.testing.assert_array_equal(hashes, hash_images(expected))
    assert reports == [(7, 38), (14, 38), (21, 38), (28, 38), (35, 38), (38, 38)]


@pytest.mark.usefixtures("small_parts")
def test_no_image_makes_an_empty_file(folder, tmp_path) -> None:
    path = tmp_path / "none.npy"
    hashes = write_fitted(pictures(folder), np.arange(0), SHAPE, path, cpus=2)
    assert (np.load(path).shape, hashes.shape) == ((0, *SHAPE), (0,))


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("cpus", [1, 2])
def test_a_damaged_picture_is_named_whichever_process_reads_it(folder, tmp_path, cpus) -> None:
    found = pictures(folder)
    (folder / "23.png").write_bytes(b"no picture")
    with pytest.raises(InvalidData, match=r"23\.png: not a readable image"):
        write_fitted(found, np.arange(40), SHAPE, tmp_path / "images.npy", cpus=cpus)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("kind", [StandIn, Deadly])
def test_what_no_other_process_can_do_this_one_does(folder, tmp_path, kind) -> None:
    images, path = np.asarray(pictures(folder)), tmp_path / "images.npy"
    write_fitted(kind(images), np.arange(40), SHAPE, path, cpus=2)
    np.testing.assert_array_equal(np.load(path), to_geometry(images, SHAPE))
