"""A user's own images, named by a path, as a data set without a plugin."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oodbench.contracts import Dataset, ImageSet, Info
from oodbench.errors import InvalidData, UserError
from oodbench.images.folders import SPLITS, Folder, read_folder, split_folders
from oodbench.images.geometry import read_pack
from oodbench.images.pictures import SUFFIXES, Header, read_header, read_picture
from oodbench.images.subsets import split_classes
from oodbench.store.paths import expanded, printable

NAMED = 10
"""Classes that are named in a description at most."""


def is_path(name: str) -> bool:
    """Return whether a name on the command line means a path and not a registered data set."""
    whole, _ = split_classes(name)
    return os.sep in whole or whole.startswith((".", "~")) or whole.endswith(".npz")


class UserImages(Dataset):
    """The user's own images.

    As an OOD set, ``path`` is an .npz pack, or a folder of pictures. As an ID set it is a folder
    with the subfolders ``train`` and ``test``, or the common beginning of the packs
    ``<path>-train.npz`` and ``<path>-test.npz``. Folders within are classes, in alphabetical
    order; pictures without one have no label. All pictures of a set must have one size; they are
    ordered by path. Labels in the packs of an ID set are renumbered unless they are 0 to k - 1.

    Args:
        path: as above.

    Raises:
        UserError: if there is nothing there.
        InvalidData: if an image cannot be read, or it is not clear which image is of which class.
    """

    def __init__(self, *, path: str) -> None:
        self.path = path
        place = expanded(path)
        place = place if place.name.strip(".") else place.resolve()
        try:
            self._parts = {split: _read_part(base) for split, base in _find_parts(place).items()}
            name = place.stem if place.is_file() else place.name
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from error
        self.info = Info(name=printable(name), summary=f"The images of {printable(path)}.")
        if not self._parts:
            raise UserError(f"{path}: neither an .npz file nor a folder of images")
        self.splits = tuple(self._parts)
        first = self._parts[self.splits[0]]
        self.shape = first.shape
        self.num_classes = len(first.classes)
        if "train" in self._parts:
            _check_classes(self._parts)

    def files(self, root: Path, split: str) -> Sequence[Path]:
        """Name the pack, or the pictures of the folder in order."""
        return self._parts[split].files

    def load(self, root: Path, split: str) -> ImageSet:
        """Read the images of a split."""
        found = self._parts[split].load()
        notes = filter(None, (found.note, self.note(split)))
        return ImageSet(found.images, self.labels(split), "; ".join(notes))

    @property
    def classes(self) -> dict[str, int]:
        """The labels by the names of the classes: folders, or labels in packs."""
        if "train" in self._parts:
            return {name: label for label, name in enumerate(self._parts["train"].classes)}
        (part,) = self._parts.values()
        return dict(zip(part.classes, part.values.tolist(), strict=True))

    def labels(self, split: str) -> np.ndarray:
        """Return the label of each image, (N,) int64; -1 where there is none."""
        part = self._parts[split]
        if "train" not in self._parts:
            return part.labels
        classes = self._parts["train"].classes
        numbers = np.array([classes.index(name) for name in part.classes], dtype=np.int64)
        places = np.searchsorted(part.values, part.labels)
        return np.where(part.labels < 0, -1, numbers[places]) if len(numbers) else part.labels

    def note(self, split: str) -> str:
        """Return the note to show with results on a split: a description of the user's images."""
        if split == "train":
            return ""  # it is said with the test images
        if len(self.splits) == 1:
            return self.describe(split)
        texts = [f"{each}: {self.describe(each)}" for each in self.splits]
        values = self._parts["train"].values
        if not np.array_equal(values, np.arange(len(values))):
            texts.append(f"the labels {values[0]} to {values[-1]} became 0 to {len(values) - 1}")
        return "; ".join(texts)

    def describe(self, split: str) -> str:
        """Return the number of images and classes of a split, and what was left aside."""
        return self._parts[split].describe()


@dataclass(frozen=True)
class _Part:
    """One split of a user's images.

    Attributes:
        base: the folder, the pack or the one picture.
        files: the pack, or the pictures in order.
        shape: (c, h, w) of the images.
        labels: (N,) int64, as in the pack, or positions in ``values``; -1 where there is none.
        values: the different labels in ascending order, without -1.
        classes: the names of those classes; of a pack, the labels as text.
        folder: what else is in the folder, if it is one.
        stacks: the number of pictures of several frames or pages, of which the first is taken.
    """

    base: Path
    files: Sequence[Path]
    shape: tuple[int, int, int]
    labels: np.ndarray
    values: np.ndarray
    classes: list[str]
    folder: Folder | None = None
    stacks: int = 0

    def load(self) -> ImageSet:
        """Read the images; their labels are not yet those of the data set."""
        if self.base.suffix == ".npz" and self.base.is_file():
            return read_pack(self.base)
        shape = self.shape[1:] if self.shape[0] == 1 else (*self.shape[1:], 3)
        images = np.empty((len(self.files), *shape), dtype=np.uint8)
        for place, path in zip(images, self.files, strict=True):
            picture = read_picture(path)
            if picture.shape[:2] != shape[:2] or picture.ndim > place.ndim:
                raise InvalidData(f"{path}: was changed since the run began")
            place[:] = picture if picture.ndim == place.ndim else picture[..., None]
        return ImageSet(images, self.labels)

    def describe(self) -> str:
        """Return the number of images and classes, and what was left aside."""
        text = f"{len(self.labels):,} images"
        if self.classes:
            more = [f"{len(self.classes) - NAMED:,} more"] if len(self.classes) > NAMED else []
            names = ", ".join([*self.classes[:NAMED], *more])
            text += f" in {len(self.classes):,} classes ({names})"
        if self.folder and self.folder.others:
            count = self.folder.others.total()
            suffixes = ", ".join(sorted(filter(None, self.folder.others))) or "no suffix"
            text += f", files that are not images: {count:,} ({suffixes})"
        if self.stacks:
            text += f", files of which only the first frame is used: {self.stacks:,}"
        return text


def _find_parts(place: Path) -> dict[str, Path]:
    """Return the source of each split: a pack, a folder or one picture."""
    packs = {split: Path(f"{place}-{split}.npz") for split in SPLITS}
    found = {split: pack for split, pack in packs.items() if pack.is_file()}
    if found:
        return found
    if place.is_dir():
        return split_folders(place)
    return {"test": place} if place.is_file() else {}


def _read_part(base: Path) -> _Part:
    """Look at one split.

    Raises:
        UserError: if there is no image.
        InvalidData: if one cannot be read.
    """
    if base.suffix == ".npz" and base.is_file():
        pack = read_pack(base)
        channels = 3 if pack.images.ndim == 4 else 1
        values = np.unique(pack.labels[pack.labels >= 0])
        shape = (channels, *pack.images.shape[1:3])
        return _Part(base, (base,), shape, pack.labels, values, [str(each) for each in values])
    folder = None if base.is_file() else read_folder(base)
    files = folder.pictures if folder else (base,)
    if not files:
        raise UserError(f"{base}: neither an .npz file nor a folder of images")
    names = [folder.class_of(path) for path in files] if folder else [""]
    classes = sorted({*names} - {""})
    numbers = {name: number for number, name in enumerate(classes)} | {"": -1}
    labels = np.array([numbers[name] for name in names], dtype=np.int64)
    headers = [read_header(path) for path in files]
    shape, values = _common_shape(files, headers), np.arange(len(classes))
    stacks = sum(header.has_frames for header in headers)
    return _Part(base, files, shape, labels, values, classes, folder, stacks)


def _common_shape(files: Sequence[Path], headers: Sequence[Header]) -> tuple[int, int, int]:
    """Return the shape (c, h, w) that pictures have in common; grey if all of them are.

    Raises:
        InvalidData: if one has another size.
    """
    first = headers[0]
    for path, header in zip(files, headers, strict=True):
        if header[:2] != first[:2]:
            raise InvalidData(
                f"{path}: image is {header.width}x{header.height}, but others of the set are "
                f"{first.width}x{first.height}"
            )
    is_grey = all(header.is_grey for header in headers)
    return (1 if is_grey else 3, first.height, first.width)


def _check_classes(parts: Mapping[str, _Part]) -> None:
    """Raise `InvalidData` if it is not clear of which class each image of an ID set is."""
    train = parts["train"]
    for split, part in parts.items():
        unlabelled = np.flatnonzero(part.labels < 0)
        if 0 < len(unlabelled) < len(part.labels):
            one = part.files[unlabelled[0]] if part.folder else part.base
            raise InvalidData(
                f"{one}: {len(unlabelled):,} of the {split} images have no class, and others have"
            )
        for name in part.folder.classes if part.folder else ():
            if name not in part.classes:
                raise InvalidData(
                    f"{part.base / name}: holds no image that can be read ("
                    f"{', '.join(sorted(SUFFIXES))}); convert its files, or remove the folder"
                )
        unknown = sorted({*part.classes} - {*train.classes})
        if unknown:
            raise InvalidData(
                f"{part.base}: class '{unknown[0]}' is not among those of the training images: "
                f"{', '.join(train.classes)}"
            )
