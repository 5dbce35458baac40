"""The upkeep of a store: how large it is, which artifacts are damaged or not needed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from oodbench.errors import UserError
from oodbench.store.artifacts import ABANDONED_DAYS, DAY_SECONDS, Store
from oodbench.store.leases import file_time, is_held

_KEY = re.compile(r"[0-9a-f]{64}")
"""The name of an artifact's folder."""


@dataclass(frozen=True)
class Share:
    """What one stage's artifacts, or one kind of unfinished work, take up.

    Attributes:
        name: of the stage, or of the folder of unfinished work.
        count: of artifacts, or of unfinished ones.
        bytes: of their files.
    """

    name: str
    count: int
    bytes: int


def open_store(root: Path) -> Store:
    """Return the store in a folder.

    Raises:
        UserError: if there is none, or it cannot be read or written to.
    """
    if not (root / "tmp").is_dir():
        raise UserError(f"there is no artifact store in '{root}'")
    try:
        entries = (path for stage in _stages(root) for path in _visible(stage))
        foreign = next((path for path in entries if not _KEY.fullmatch(path.name)), None)
    except OSError as error:
        raise UserError(f"the store '{root}' cannot be read: {error.strerror}") from error
    if foreign is not None:  # any folder may have one called tmp in it
        raise UserError(f"'{root}' is not an artifact store: '{foreign}' is no artifact")
    return Store(root)


def shares(store: Store) -> list[Share]:
    """Return what each stage takes up, and then unfinished work, in alphabetical order."""
    stages = [Share(path.name, *_extent(path)) for path in _stages(store.root)]
    unfinished = [store.root / name for name in sorted(ABANDONED_DAYS)]
    return stages + [Share(path.name, *_extent(path)) for path in unfinished if path.is_dir()]


def places(store: Store) -> Iterator[str]:
    """Yield the places of all artifacts, ``stage/key``, in alphabetical order."""
    for stage in _stages(store.root):
        for path in _visible(stage):
            yield f"{stage.name}/{path.name}"


def examine(store: Store) -> Iterator[tuple[str, bool]]:
    """Yield the place of each artifact, and whether it is sound.

    Every file is read. Nothing is removed: the next run that needs a damaged artifact does that.
    """
    for place in places(store):
        yield place, store.is_sound(*place.split("/"))


def unneeded(store: Store, kept: Collection[str], days: float) -> list[str]:
    """Return the places of artifacts that are not to be kept.

    Args:
        store: the store.
        kept: places of artifacts to be kept.
        days: age from which an artifact counts.
    """
    now = file_time(store.root / "tmp")
    return [
        place
        for place in places(store)
        if place not in kept and now - _changed(store.root / place) >= days * DAY_SECONDS
    ]


def named(store: Store, name: str) -> list[str]:
    """Return the places that ``stage`` or ``stage/key`` names.

    Raises:
        UserError: if it names none.
    """
    found = [place for place in places(store) if name in (place, place.partition("/")[0])]
    if not found:
        stages = ", ".join(path.name for path in _stages(store.root)) or "none"
        raise UserError(f"the store has no artifact '{name}'; its stages: {stages}")
    return found


def remove(store: Store, chosen: Collection[str]) -> int:
    """Remove artifacts, and return how many bytes that frees.

    Raises:
        UserError: if a run is using the store.
    """
    if any(is_held(path) for path in store.leases.glob("*")):
        raise UserError(f"a run is using the store '{store.root}'; try again when it has ended")
    freed = size_of(store, chosen)
    for place in chosen:
        store.discard(*place.split("/"))
    return freed


def size_of(store: Store, chosen: Collection[str]) -> int:
    """Return the bytes of some artifacts."""
    return sum(_size(store.root / place) for place in chosen)


def _stages(root: Path) -> list[Path]:
    return [path for path in _visible(root) if path.is_dir() and path.name not in ABANDONED_DAYS]


def _visible(folder: Path) -> list[Path]:
    """Return what is in a folder but for hidden files, which file managers leave in any."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _extent(folder: Path) -> tuple[int, int]:
    """Return the number of entries of a folder, and the bytes of all files in them."""
    entries = _visible(folder)
    return len(entries), sum(map(_size, entries))


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(_length(each) for each in files)


def _length(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0  # a run has just removed it


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return float("inf")  # a run has just removed it
