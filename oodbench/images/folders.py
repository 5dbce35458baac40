"""Users' folders of pictures: what is taken, left aside or refused."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import overload

from oodbench.errors import InvalidData
from oodbench.images.pictures import SUFFIXES

SPLITS = ("train", "test", "validation")

NAMES = {
    "train": "train",
    "test": "test",
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
}
"""The splits by the names of folders and words in names of files that mean them."""

OF_SYSTEMS = frozenset(
    {"$recycle.bin", "@eadir", "__macosx", "lost+found", "system volume information"}
)
"""Names of folders that operating systems put among a user's, with pictures of their own."""


class Paths(Sequence[Path]):
    """Paths in a folder, kept as their names: a tenth of the memory, and of the time to copy them.

    Args:
        base: the folder.
        names: of the files, relative to it, with slashes.
    """

    def __init__(self, base: Path, names: Sequence[str]) -> None:
        self.base = base
        self.names = tuple(names)

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, position: int) -> Path: ...
    @overload
    def __getitem__(self, position: slice) -> Paths: ...
    def __getitem__(self, position: int | slice) -> Path | Paths:
        if isinstance(position, slice):
            return Paths(self.base, self.names[position])
        return self.base / self.names[position]


@dataclass(frozen=True)
class Folder:
    """A folder of pictures.

    Attributes:
        base: the folder.
        pictures: all pictures in it and in the folders within, ordered by path.
        classes: the names of the folders right in it, in order.
        others: the number of files that are no pictures, by suffix.
    """

    base: Path
    pictures: Paths
    classes: Sequence[str]
    others: Counter[str]

    def classes_of_pictures(self) -> list[str]:
        """Return the folder right in this one that each picture lies in, or ``""``."""
        return ["" if "/" not in name else name[: name.index("/")] for name in self.pictures.names]

    def describe_others(self) -> str:
        """Return how many files are no pictures, with their suffixes; "" if there are none."""
        if not self.others:
            return ""
        suffixes = ", ".join(sorted(filter(None, self.others))) or "no suffix"
        return f"{self.others.total():,} ({suffixes})"


def read_folder(base: Path) -> Folder:
    """List the pictures of a folder and of those within, through links too.

    Hidden files and folders are ignored, and so are those of operating systems.

    Raises:
        InvalidData: if a folder cannot be read or is reached twice, or a link leads nowhere.
    """
    pictures: list[str] = []
    others: Counter[str] = Counter()
    reached: dict[tuple[int, int], Path] = {}
    waiting = [""]
    while waiting:
        within = waiting.pop()
        for entry in _entries(base / within, reached):
            name = f"{within}{entry.name}"
            suffix = PurePath(entry.name).suffix.lower()
            if _is_folder(entry):
                waiting.append(f"{name}/")
            elif entry.is_symlink() and not Path(entry.path).exists():
                raise InvalidData(f"{entry.path}: a link that leads nowhere; remove it")
            elif suffix in SUFFIXES:
                pictures.append(name)
            else:
                others[suffix] += 1
    classes = sorted(entry.name for entry in _visible(base) if _is_folder(entry))
    ordered = sorted(pictures, key=lambda name: name.split("/"))
    return Folder(base, Paths(base, ordered), classes, others)


def split_folders(place: Path) -> dict[str, Path]:
    """Return the folders of splits in a folder; without ``train`` and ``test`` itself, as ``test``.

    Raises:
        InvalidData: if they lie beside pictures or other folders of pictures, so that they may be
            classes, or if there are two of a name.
    """
    folders = [Path(entry.path) for entry in _visible(place) if _is_folder(entry)]
    found: dict[str, Path] = {}
    for path in folders:
        split = NAMES.get(path.name.lower())
        if split is None:
            continue
        if split in found:
            raise InvalidData(f"{place}: has both {found[split].name}/ and {path.name}/")
        found[split] = path
    if not {"train", "test"} & {*found}:
        return {"test": place}
    own = {*found.values()}
    for path in (Path(entry.path) for entry in _visible(place)):
        is_folder = path.is_dir() and path not in own and read_folder(path).pictures
        if is_folder or (path.is_file() and path.suffix.lower() in SUFFIXES):
            name = (found.get("test") or found["train"]).name
            raise InvalidData(
                f"{place}: {name}/ may be a set of images or a class, since {path.name} lies "
                f"beside it; move {path.name} elsewhere, or rename {name}/ if it is a class"
            )
    return {split: found[split] for split in SPLITS if split in found}


def _entries(folder: Path, reached: dict[tuple[int, int], Path]) -> list[os.DirEntry[str]]:
    """Return what is visible in a folder that was not reached before, and note it down."""
    entries = _visible(folder)
    status = folder.stat()
    first = reached.setdefault((status.st_dev, status.st_ino), folder)
    if first != folder:
        raise InvalidData(
            f"{folder}: the same folder as {first}, by a link, so that its images would count "
            "twice; remove one of them"
        )
    return entries


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    """Return what in a folder is neither hidden nor an operating system's, in order.

    Raises:
        InvalidData: if it cannot be read.
    """

    def is_visible(entry: os.DirEntry[str]) -> bool:
        return not entry.name.startswith(".") and entry.name.lower() not in OF_SYSTEMS

    try:
        with os.scandir(folder) as entries:
            return sorted(filter(is_visible, entries), key=lambda entry: entry.name)
    except OSError as error:
        raise InvalidData(f"{folder}: cannot be read: {error.strerror}") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder, or a link to one."""
    return Path(entry.path).is_dir() if entry.is_symlink() else entry.is_dir()
