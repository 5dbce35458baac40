"""Data sets defined by the image lists that OpenOOD publishes.

A folder of OpenOOD's data holds ``benchmark_imglist/<benchmark>/<split>_<set>.txt``, whose lines
name a picture below ``images_classic`` or ``images_largescale`` and its class, -1 for OOD. Which
pictures belong to a set depends on the benchmark: those that show an ID class are left out.
Neither lists nor pictures have published checksums, and they are not downloaded here:
OpenOOD's ``scripts/download/download.py`` fetches both.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar, NamedTuple, Self

import numpy as np

from oodbench.contracts import Dataset, DataUnavailable, ImageSet, InvalidData
from oodbench_datasets.packs import read_pack
from oodbench_openood.pictures import Pictures

LISTS = "benchmark_imglist"
"""The folder of the lists in OpenOOD's data."""


class Listed(NamedTuple):
    """A line of a list.

    Attributes:
        path: the picture.
        label: its class; -1 for OOD.
        ready: whether it is taken as it is, neither reduced nor cut.
    """

    path: Path
    label: int
    ready: bool


class ListedDataset(Dataset):
    """Pictures that a list of OpenOOD names, else the images of another data set that stand in.

    Of a class that has them, the images of the class that comes next among its bases stand in
    where the list is missing, from that one's pack or files; a note says so.

    Attributes:
        subset: what lists call the set: ``"tin"`` of ``test_tin.txt``.
        image_folder: where the pictures are, below the data folder.
        stand_in: the title of the data set that stands in; empty where none does.
        stand_in_pack: the name of its pack, less the split; empty where it is of no use.
        prefix: what the names of its lists begin with, if that is not the split.
        lists: the benchmark whose lists are read; a parameter of each class.
    """

    splits: tuple[str, ...] = ("test",)
    subset: ClassVar[str]
    image_folder: ClassVar[str] = "images_classic"
    stand_in: ClassVar[str] = ""
    stand_in_pack: ClassVar[str] = ""
    prefix: ClassVar[str] = ""
    lists: str

    def fitted(self, shape: tuple[int, int, int]) -> Self:
        """Return the same set, whose pictures are then cut to a geometry as OpenOOD cuts them."""
        fitted = copy.copy(self)
        fitted.shape = shape
        return fitted

    def subsets(self, split: str) -> Sequence[str]:
        """Return what lists call the parts that a split is made of."""
        return (self.subset,)

    def is_ready(self, subset: str) -> bool:
        """Return whether the pictures of a part are taken as they are."""
        return False

    def files(self, root: Path, split: str) -> Sequence[Path]:
        """Name the lists and all their pictures, or the files of the set that stands in."""
        if self._is_listed(root, split) or not self.stand_in:
            pictures = (listed.path for listed in self.listed(root, split))
            return [*(self._list(root, split, subset) for subset in self.subsets(split)), *pictures]
        pack = self._pack(root, split)
        return [pack] if pack is not None else super().files(root, split)

    def prepare(self, root: Path, split: str) -> None:
        """Download the set that stands in, where one does; else say what is missing.

        Raises:
            DataUnavailable: if it cannot be had.
        """
        if self.stand_in and not self._is_listed(root, split):
            super().prepare(root, split)
            return
        for path in self.files(root, split):
            if not path.is_file():
                raise DataUnavailable(self._lack(root, split, path))

    def load(self, root: Path, split: str) -> ImageSet:
        """Return the pictures in the order of the list; they are decoded when they are asked for.

        Raises:
            DataUnavailable: if a list is missing, and nothing stands in.
            InvalidData: if a list is damaged.
        """
        if self.stand_in and not self._is_listed(root, split):
            return self._load_stand_in(root, split)
        for subset in self.subsets(split):
            if not (path := self._list(root, split, subset)).is_file():
                raise DataUnavailable(self._lack(root, split, path))
        listed = self.listed(root, split)
        pictures = Pictures(
            [each.path for each in listed],
            self.shape,
            np.array([each.ready for each in listed], dtype=bool),
        )
        labels = np.array([each.label for each in listed], dtype=np.int64)
        return ImageSet(pictures, self._labels(labels), self.note(split))  # type: ignore[arg-type]

    def load_whole(self, root: Path, split: str) -> ImageSet:
        """Read the set that stands in from its own files."""
        return super().load(root, split)  # type: ignore[safe-super] # of another base class

    def note(self, split: str) -> str:
        """Return a sentence to show with results on the listed pictures; none by default."""
        return ""

    def listed(self, root: Path, split: str) -> list[Listed]:
        """Return the lines of those lists that are there.

        Raises:
            InvalidData: if one is damaged, or has no lines.
        """
        found: list[Listed] = []
        for subset in self.subsets(split):
            path = self._list(root, split, subset)
            if path.is_file():
                ready = self.is_ready(subset)
                lines = read_list(path)
                found += (
                    Listed(root / self.image_folder / name, label, ready) for name, label in lines
                )
        return found

    def _list(self, root: Path, split: str, subset: str) -> Path:
        return root / LISTS / self.lists / f"{self.prefix or split}_{subset}.txt"

    def _is_listed(self, root: Path, split: str) -> bool:
        return all(self._list(root, split, each).is_file() for each in self.subsets(split))

    def _pack(self, root: Path, split: str) -> Path | None:
        pack = root / f"{self.stand_in_pack}-{split}.npz"
        return pack if self.stand_in_pack and pack.is_file() else None

    def _load_stand_in(self, root: Path, split: str) -> ImageSet:
        pack = self._pack(root, split)
        found = self.load_whole(root, split) if pack is None else read_pack(pack, self.shape[0])
        missing = f"{LISTS}/{self.lists}/{split}_{self.subset}.txt"
        note = (
            f"all {len(found):,} {split} images of {self.stand_in} are used, since OpenOOD's "
            f"selection ({missing}) is not in the data folder"
        )
        return ImageSet(
            found.images, self._labels(found.labels), "; ".join(filter(None, (note, found.note)))
        )

    def _labels(self, labels: np.ndarray) -> np.ndarray:
        return labels if self.num_classes else np.full_like(labels, -1)

    def _lack(self, root: Path, split: str, missing: Path) -> str:
        name = self.info.name
        return (
            f"data set '{name}' lacks {missing.relative_to(root).as_posix()} in {root}. Put the "
            f"folders {LISTS} and {self.image_folder} of OpenOOD's data there, which its "
            f"scripts/download/download.py fetches, or the pack {name}-{split}.npz"
        )


def read_list(path: Path) -> list[tuple[str, int]]:
    """Read a list: a line a picture, its path and, after a blank, its class.

    Raises:
        InvalidData: if it is unreadable or empty, or a line is of another form, or leads out of
            the folder of the pictures.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidData(f"{path}: unreadable ({error})") from error
    if not lines:
        raise InvalidData(f"{path}: is empty")
    return list(_parse(lines, path))


def _parse(lines: Sequence[str], path: Path) -> Iterator[tuple[str, int]]:
    for number, line in enumerate(lines, start=1):
        name, _, label = line.partition(" ")
        parts = PurePosixPath(name).parts
        try:
            if not parts or parts[0] == "/" or ".." in parts:
                raise ValueError(name)
            yield name, int(label)
        except ValueError as error:
            form = "a path below the folder of pictures, a blank and a class"
            raise InvalidData(f"{path}: line {number} is not {form}") from error
