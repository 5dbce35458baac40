"""The pictures of a folder are named in order, and their names take little memory."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from oodbench.images.folders import Paths, read_folder

NAMES = ("a-b/1.png", "a/2.PNG", "a/deep/0.jpg", "b.c/3.gif", "z.tif")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (*NAMES, "a/notes.txt", "a/.hidden.png", "README"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_pictures_are_ordered_by_the_parts_of_their_paths(folder: Path) -> None:
    found = read_folder(folder)
    assert list(found.pictures) == sorted(folder / name for name in NAMES)
    assert found.classes_of_pictures() == ["a", "a", "a-b", "b.c", ""]
    assert list(found.classes) == ["a", "a-b", "b.c"]
    assert found.others == {".txt": 1, "": 1}


def test_a_copy_of_many_paths_shares_their_names() -> None:
    paths = Paths(Path("pictures"), [f"{number}.jpg" for number in range(1000)])
    assert copy.deepcopy(paths).names is paths.names
    assert (len(paths), paths[7], paths[-1]) == (1000, Path("pictures/7.jpg"), paths[999])
    assert list(paths[2:4]) == [Path("pictures/2.jpg"), Path("pictures/3.jpg")]
