"""Take a user's own images, named by a path, as a data set without a plugin."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from oodbench.contracts import Dataset, ImageSet, Info
from oodbench.errors import InvalidData, UserError
from oodbench.images import read_pack

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

PICTURES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Suffixes of the files in a folder that are taken for images."""

GREY = frozenset({"1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"})
"""Pillow's modes of pictures without colours."""


def is_path(name: str) -> bool:
    """Return whether a name on the command line means a path and not a registered data set."""
    return os.sep in name or name.startswith(".") or name.endswith(".npz")


class UserImages(Dataset):
    """Images of the user's own.

    As an OOD set, ``path`` is an .npz pack, or a folder of pictures. As an ID set it is a folder
    with the subfolders ``train`` and ``test``, or the common beginning of the packs
    ``<path>-train.npz`` and ``<path>-test.npz``. Folders within are classes, in alphabetical
    order; pictures without one have no label. All pictures of a set must have one size; they are
    ordered by path.

    Args:
        path: as above.

    Raises:
        UserError: if there is nothing there.
        InvalidData: if an image cannot be read.
    """

    def __init__(self, *, path: str) -> None:
        self.path = path
        place = Path(path)
        self._place = place if place.name.strip(".") else place.resolve()
        name = self._place.stem if self._place.is_file() else self._place.name
        self.info = Info(name=name, summary=f"The images of {path}.")
        self.splits = tuple(split for split in ("train", "test") if self.files(Path(), split))
        if not self.splits:
            raise UserError(f"{path}: neither an .npz file nor a folder of images")
        files = self.files(Path(), self.splits[0])
        first = self._read(files[:1]).images
        coloured = first.ndim == 4 or not all(map(_is_grey, files[1:]))
        self.shape = (3 if coloured else 1, first.shape[1], first.shape[2])
        self.num_classes = self._count_classes()

    def _base(self, split: str) -> Path:
        pack = Path(f"{self._place}-{split}.npz")
        if pack.is_file():
            return pack
        if (self._place / split).is_dir():
            return self._place / split
        parted = (self._place / "train").is_dir() or Path(f"{self._place}-train.npz").is_file()
        return Path() if split == "train" or parted else self._place

    def files(self, root: Path, split: str) -> Sequence[Path]:
        """Name the pack, or the pictures of the folder in order."""
        base = self._base(split)
        if base.is_file():
            return (base,)
        if base == Path():
            return ()
        return sorted(path for path in base.rglob("*") if path.suffix.lower() in PICTURES)

    def load(self, root: Path, split: str) -> ImageSet:
        """Read the images of a split."""
        files = self.files(root, split)
        if files[0].suffix == ".npz":
            return read_pack(files[0])
        return ImageSet(self._read(files).images, np.array(self.labels(split), dtype=np.int64))

    def labels(self, split: str) -> list[int]:
        """Return the label of each picture of a folder; -1 for a pack, which has its own.

        Raises:
            InvalidData: if a picture is of a class that the training images lack.
        """
        classes = self._classes()
        return [self._label(path, split, classes) for path in self.files(Path(), split)]

    def _classes(self) -> list[str]:
        """Return the names of the classes: the folders of the first split, which both share."""
        split = self.splits[0]
        names = {self._class_of(path, split) for path in self.files(Path(), split)}
        return sorted(names - {""})

    def _class_of(self, path: Path, split: str) -> str:
        """Return the folder within the set that a picture lies in; empty if there is none."""
        parts = path.relative_to(self._base(split)).parts
        return parts[0] if len(parts) > 1 else ""

    def _label(self, path: Path, split: str, classes: Sequence[str]) -> int:
        name = self._class_of(path, split)
        if not name:
            return -1
        if name not in classes:
            raise InvalidData(
                f"{path}: its class '{name}' is not among those of the training images: "
                f"{', '.join(classes)}"
            )
        return classes.index(name)

    def _count_classes(self) -> int:
        if self.files(Path(), self.splits[0])[0].suffix != ".npz":
            return len(self._classes())
        return int(self.load(Path(), self.splits[0]).labels.max(initial=-1)) + 1

    @staticmethod
    def _read(files: Sequence[Path]) -> ImageSet:
        if files[0].suffix == ".npz":
            return read_pack(files[0])
        pictures: list[np.ndarray] = []
        for path in files:
            with _opened(path) as opened:
                pictures.append(_to_bytes(opened, path))
        if len({picture.ndim for picture in pictures}) > 1:  # some grey, some in colour
            pictures = [p if p.ndim == 3 else np.repeat(p[..., None], 3, 2) for p in pictures]
        for path, picture in zip(files, pictures, strict=True):
            if picture.shape != pictures[0].shape:
                size, first = (
                    f"{each.shape[1]}x{each.shape[0]}" for each in (picture, pictures[0])
                )
                raise InvalidData(f"{path}: image is {size}, but others of the set are {first}")
        return ImageSet(np.stack(pictures), np.full(len(pictures), -1, dtype=np.int64))


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile]:
    """Open a picture; its pixels are read when they are asked for.

    Raises:
        InvalidData: if it cannot be read, in the block as well.
    """
    from PIL import Image

    try:
        with Image.open(path) as picture:
            yield picture
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidData(f"{path}: not a readable image: {error}") from error


def _is_grey(path: Path) -> bool:
    """Return whether a picture has no colours, which its header tells."""
    with _opened(path) as picture:
        return picture.mode in GREY


def _to_bytes(picture: ImageFile, path: Path) -> np.ndarray:
    """Return a picture as (h, w) or (h, w, 3) uint8; of 16 bits, the upper 8 are kept by rounding.

    Raises:
        InvalidData: if its values have no known range.
    """
    # Pillow reads grey of 16 bits from PGM files as "I", and scales it to the whole range.
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PPM"):
        return np.rint(np.asarray(picture) / 257).astype(np.uint8)
    if picture.mode in ("I", "F"):
        raise InvalidData(f"{path}: has 32 bits a pixel; convert it to 8 or 16")
    return np.asarray(picture.convert("L" if picture.mode in GREY else "RGB"))
