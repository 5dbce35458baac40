"""Users' folders of pictures: what is taken, left aside or refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
    pictures: Sequence[Path]
    classes: Sequence[str]
    others: Counter[str]

    def class_of(self, picture: Path) -> str:
        """Return the name of the folder right in this one that a picture lies in, or ``""``."""
        parts = picture.relative_to(self.base).parts
        return parts[0] if len(parts) > 1 else ""


def read_folder(base: Path) -> Folder:
    """List the pictures of a folder and of those within, through links too.

    Hidden files and folders are ignored, and so are those of operating systems.

    Raises:
        InvalidData: if a folder cannot be read or is reached twice, or a link leads nowhere.
    """
    pictures: list[Path] = []
    others: Counter[str] = Counter()
    reached: dict[tuple[int, int], Path] = {}
    waiting = [base]
    while waiting:
        folder = waiting.pop()
        for path in _entries(folder, reached):
            if path.is_dir():
                waiting.append(path)
            elif path.is_symlink() and not path.exists():
                raise InvalidData(f"{path}: a link that leads nowhere; remove it")
            elif path.suffix.lower() in SUFFIXES:
                pictures.append(path)
            else:
                others[path.suffix.lower()] += 1
    classes = sorted(path.name for path in _visible(base) if path.is_dir())
    return Folder(base, sorted(pictures), classes, others)


def split_folders(place: Path) -> dict[str, Path]:
    """Return the folders of splits in a folder; without ``train`` and ``test`` itself, as ``test``.

    Raises:
        InvalidData: if they lie beside pictures or other folders of pictures, so that they may be
            classes, or if there are two of a name.
    """
    folders = [path for path in _visible(place) if path.is_dir()]
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
    for path in _visible(place):
        is_folder = path.is_dir() and path not in own and read_folder(path).pictures
        if is_folder or (path.is_file() and path.suffix.lower() in SUFFIXES):
            name = (found.get("test") or found["train"]).name
            raise InvalidData(
                f"{place}: {name}/ may be a set of images or a class, since {path.name} lies "
                f"beside it; move {path.name} elsewhere, or rename {name}/ if it is a class"
            )
    return {split: found[split] for split in SPLITS if split in found}


def _entries(folder: Path, reached: dict[tuple[int, int], Path]) -> list[Path]:
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


def _visible(folder: Path) -> list[Path]:
    """Return what in a folder is neither hidden nor an operating system's, in order.

    Raises:
        InvalidData: if it cannot be read.
    """

    def is_visible(path: Path) -> bool:
        return not path.name.startswith(".") and path.name.lower() not in OF_SYSTEMS

    try:
        return sorted(filter(is_visible, folder.iterdir()))
    except OSError as error:
        raise InvalidData(f"{folder}: cannot be read: {error.strerror}") from error
