"""A user's own images, named by a path, as a data set without a plugin."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from oodbench.contracts import Dataset, ImageSet, Info
from oodbench.errors import InvalidData, UserError
from oodbench.images import parquet, shards
from oodbench.images.folders import SPLITS, Folder, read_folder, split_folders
from oodbench.images.geometry import read_pack
from oodbench.images.pictures import SUFFIXES, Encodings, Pictures, read_header
from oodbench.images.subsets import split_classes
from oodbench.store.paths import expanded, printable

NAMED = 10
"""Classes that are named in a description at most."""

CONTAINERS = (parquet.SUFFIX, shards.SUFFIX)
"""Suffixes of files that hold many images."""

AS_THEY_ARE = 2**18
"""Pixels that pictures of one size may have at most to be the ID geometry: 512x512."""

SIDE = 224
"""The side of the squares that other pictures become at most, unless the user says another."""


def is_path(name: str) -> bool:
    """Return whether a name on the command line means a path and not a registered data set."""
    whole, _ = split_classes(name)
    return os.sep in whole or whole.startswith((".", "~")) or whole.endswith((".npz", *CONTAINERS))


class UserImages(Dataset):
    """The user's own images.

    As an OOD set, ``path`` is an .npz pack, a folder of pictures, Parquet files in the format of
    Hugging Face, or tar files in that of WebDataset. As an ID set it is a folder with the
    subfolders ``train`` and ``test``, and optionally ``validation``, the common beginning of packs
    such as ``<path>-train.npz``, or a folder of Parquet or tar files with these words in their
    names. Where there are no test images, the validation images are the test images.

    Folders within are classes, in alphabetical order; pictures without one have no label. They are
    ordered by path. Labels of an ID set are renumbered unless they are 0 to k - 1.

    Pictures may be of any size: of each the largest centred part with the aspect ratio of the ID
    images is resized (`fit_picture`). Those of an ID set are taken as they are if all have one
    size, of at most `AS_THEY_ARE` pixels; else they become squares, whose side is the shortest side
    of any training picture, at most `SIDE`. The images of a pack are resized like those of
    registered data sets.

    Args:
        path: as above.
        size: side of the squares that pictures of an ID set become; 0 for the rule above.
        image: the column of images in Parquet files; empty if there is only one.
        label: the column of labels in Parquet files; empty for ``label`` and the like.

    Raises:
        UserError: if there is nothing there.
        InvalidData: if an image cannot be read, or it is not clear which image is of which class.
    """

    def __init__(self, *, path: str, size: int = 0, image: str = "", label: str = "") -> None:
        if size < 0:
            raise UserError(f"{path}: the size of images is {size}; expected at least 1")
        self.path = path
        self.size = size
        self.image = image
        self.label = label
        place = expanded(path)
        place = place if place.name.strip(".") else place.resolve()
        try:
            sources = _find_sources(place)
            self._parts = {split: _read_part(each, image, label) for split, each in sources.items()}
            name = place.stem if place.is_file() else place.name
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from error
        self.info = Info(name=printable(name), summary=f"The images of {printable(path)}.")
        if not self._parts:
            raise UserError(f"{path}: neither an .npz file nor a folder of images")
        self._borrowed = "test" not in self._parts and "validation" in self._parts
        if self._borrowed:
            self._parts["test"] = self._parts.pop("validation")
        self.splits = tuple(self._parts)
        first = self._parts[self.splits[0]]
        self.shape = first.geometry(size)
        self.num_classes = len(first.classes)
        if "train" in self._parts:
            _check_classes(self._parts)

    def fitted(self, shape: tuple[int, int, int]) -> Self:
        """Return the same set, whose pictures are fitted to the height and width of ID images."""
        part = self._parts[self.splits[0]]
        if not part.pictures:
            return self
        fitted = copy.copy(self)
        fitted.shape = (self.shape[0], *shape[1:])
        return fitted

    def files(self, root: Path, split: str) -> Sequence[Path]:
        """Name the packs, Parquet or tar files, or the pictures of the folder in order."""
        return self._parts[split].files

    def load(self, root: Path, split: str) -> ImageSet:
        """Return the images of a split; pictures are decoded when they are asked for."""
        part = self._parts[split]
        if part.pictures is None:
            found = read_pack(part.files[0])
            notes = filter(None, (found.note, self.note(split)))
            return ImageSet(found.images, self.labels(split), "; ".join(notes))
        images: Any = Pictures(part.pictures, (part.channels, *self.shape[1:]))
        return ImageSet(images, self.labels(split), self.note(split))

    @property
    def classes(self) -> dict[str, int]:
        """The labels by the names of the classes: folders, or labels in packs."""
        if "train" in self._parts:
            return {name: label for label, name in enumerate(self._parts["train"].classes)}
        part = self._parts["test"]
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
        if split != "test":
            return ""  # it is said with the test images
        if len(self.splits) == 1:
            return self.describe(split)
        texts = [f"{each}: {self.describe(each)}" for each in self.splits]
        if self._borrowed:
            texts.append("the validation images are the test images, since there are no others")
        values = self._parts["train"].values
        if not np.array_equal(values, np.arange(len(values))):
            texts.append(f"the labels {values[0]} to {values[-1]} became 0 to {len(values) - 1}")
        return "; ".join(texts)

    def describe(self, split: str) -> str:
        """Return the number of images and classes of a split, what was left aside, and sizes."""
        part = self._parts[split]
        text = part.describe()
        return f"{text}, {fitting}" if (fitting := part.describe_fitting(self.shape)) else text


class _Sizes(NamedTuple):
    """The sizes (width, height) of pictures: how many, and those of the least and most pixels."""

    number: int
    least: tuple[int, int]
    most: tuple[int, int]
    shortest: int


@dataclass(frozen=True)
class _Part:
    """One split of a user's images.

    Attributes:
        base: the folder, the pack, the one picture or the first of the Parquet or tar files.
        files: the pack, the Parquet or tar files, or the pictures in order.
        channels: 1 if all images are grey, else 3.
        sizes: of the images.
        labels: (N,) int64, as in the files, or positions in ``values``; -1 where there is none.
        values: the different labels in ascending order, without -1.
        classes: the names of those classes; of a pack, the labels as text.
        pictures: where the pictures are; None for a pack.
        folder: what else is in the folder, if it is one.
        stacks: the number of pictures of several frames or pages, of which the first is taken.
    """

    base: Path
    files: Sequence[Path]
    channels: int
    sizes: _Sizes
    labels: np.ndarray
    values: np.ndarray
    classes: list[str]
    pictures: Encodings | None = None
    folder: Folder | None = None
    stacks: int = 0

    def geometry(self, size: int) -> tuple[int, int, int]:
        """Return the shape (c, h, w) of images of an ID set, given the size that the user says.

        Raises:
            UserError: if there is a size, and the images are those of a pack.
        """
        width, height = self.sizes.least
        if self.pictures is None:
            if size:
                raise UserError(f"{self.base}: the images of a pack have one size; leave out size")
            return (self.channels, height, width)
        if not size and self.sizes.number == 1 and width * height <= AS_THEY_ARE:
            return (self.channels, height, width)
        side = size or min(self.sizes.shortest, SIDE)
        return (self.channels, side, side)

    def describe(self) -> str:
        """Return the number of images and classes, and what was left aside."""
        text = f"{len(self.labels):,} images"
        if self.classes:
            more = [f"{len(self.classes) - NAMED:,} more"] if len(self.classes) > NAMED else []
            names = ", ".join([*self.classes[:NAMED], *more])
            text += f" in {len(self.classes):,} classes ({names})"
        if self.folder and (others := self.folder.describe_others()):
            text += f", files that are not images: {others}"
        if self.stacks:
            text += f", files of which only the first frame is used: {self.stacks:,}"
        return text

    def describe_fitting(self, shape: tuple[int, int, int]) -> str:
        """Return how pictures are fitted to a geometry; empty if they have it already."""
        _, height, width = shape
        if self.pictures is None or (
            self.sizes.number == 1 and self.sizes.least == (width, height)
        ):
            return ""
        sizes = "{}x{}".format(*self.sizes.least)
        if self.sizes.number > 1:
            sizes = f"{self.sizes.number:,} sizes ({sizes} to {{}}x{{}})".format(*self.sizes.most)
        return f"of {sizes}: shorter side resized, centre of {width}x{height} cut out"


def _find_sources(place: Path) -> dict[str, Sequence[Path]]:
    """Return what holds each split: a pack, a folder, one picture, or Parquet files."""
    packs = {split: Path(f"{place}-{split}.npz") for split in SPLITS}
    found = {split: [pack] for split, pack in packs.items() if pack.is_file()}
    if found:
        return {**found}
    if suffix := _container(place):
        files = parquet.find_files(place, suffix)
        return {split: files[split] for split in SPLITS if split in files}
    if place.is_dir():
        return {split: [folder] for split, folder in split_folders(place).items()}
    return {"test": [place]} if place.is_file() else {}


def _container(place: Path) -> str:
    """Return the suffix of the files that hold many images each; empty where pictures are files."""
    if not place.is_dir():
        return place.suffix if place.suffix in CONTAINERS and place.is_file() else ""
    found = [suffix for suffix in CONTAINERS if any(place.rglob(f"*{suffix}"))]
    return found[0] if found and not read_folder(place).pictures else ""


def _read_part(sources: Sequence[Path], image: str, label: str) -> _Part:
    """Look at one split.

    Raises:
        UserError: if there is no image.
        InvalidData: if one cannot be read.
    """
    base = sources[0]
    if base.suffix == ".npz" and base.is_file():
        pack = read_pack(base)
        channels = 3 if pack.images.ndim == 4 else 1
        values = np.unique(pack.labels[pack.labels >= 0])
        height, width = pack.images.shape[1:3]
        sizes = _Sizes(1, (width, height), (width, height), min(width, height))
        names = [str(each) for each in values]
        return _Part(base, (base,), channels, sizes, pack.labels, values, names)
    if base.suffix in CONTAINERS and base.is_file():
        is_tar = base.suffix == shards.SUFFIX
        table = shards.open_shards(sources) if is_tar else parquet.open_table(sources, image, label)
        if not len(table.rows):
            raise InvalidData(f"{base}: there are no images in it")
        channels, sizes, stacks = _look_at(table.rows)
        found = (table.labels, table.values, table.classes, table.rows)
        return _Part(base, sources, channels, sizes, *found, stacks=stacks)
    folder = None if base.is_file() else read_folder(base)
    files: Sequence[Path] = folder.pictures if folder else (base,)
    if not files:
        others = folder.describe_others() if folder else ""
        only = f"no images in the folder, only other files: {others}"
        raise UserError(f"{base}: {only if others else 'the folder is empty'}")
    names = folder.classes_of_pictures() if folder else [""]
    classes = sorted({*names} - {""})
    numbers = {name: number for number, name in enumerate(classes)} | {"": -1}
    labels = np.array([numbers[name] for name in names], dtype=np.int64)
    channels, sizes, stacks = _look_at(files)
    values = np.arange(len(classes))
    return _Part(base, files, channels, sizes, labels, values, classes, files, folder, stacks)


def _look_at(pictures: Encodings) -> tuple[int, _Sizes, int]:
    """Return channels and sizes of pictures, and how many have several frames.

    Raises:
        InvalidData: if one cannot be read.
    """
    sizes: set[tuple[int, int]] = set()
    are_grey, stacks = True, 0
    for position in range(len(pictures)):
        header = read_header(pictures[position])
        sizes.add((header.width, header.height))
        are_grey &= header.is_grey
        stacks += header.has_frames
    ordered = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    found = _Sizes(len(sizes), ordered[0], ordered[-1], min(map(min, sizes)))
    return (1 if are_grey else 3), found, stacks


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
