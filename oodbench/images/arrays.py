"""Features and logits that were computed elsewhere, in the place of images.

A folder holds ``id-train``, ``id-test``, optionally ``id-validation``, any number of
``ood-<name>``, and optionally ``head``, each as ``.npz``, ``.safetensors`` or ``.parquet``. A set
has the arrays `SET`, features or logits or both; the head has the arrays `HEAD`. In Parquet a row
of an array is a list.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from oodbench.contracts import Dataset, ImageSet, Info
from oodbench.errors import InvalidData, UserError
from oodbench.identity.keys import digest
from oodbench.images.array_files import SUFFIXES, place_of, read_arrays, write_arrays
from oodbench.images.npy import ArrayFile, take_rows
from oodbench.images.sources import Source
from oodbench.store.artifacts import digest_file
from oodbench.store.paths import printable

TRAIN, TEST, VALIDATION, OOD, HEAD_FILE = "id-train", "id-test", "id-validation", "ood-", "head"

SET = ("features", "logits", "labels")
"""``features`` (n, d), ``logits`` (n, k) and ``labels`` (n,); -1, or no array, without labels."""

HEAD = ("weight", "bias")
"""``weight`` (k, d) and ``bias`` (k,): the linear layer from features to logits."""

CHUNK = 2**24
"""Values that are read at a time."""


class Arrays(NamedTuple):
    """What a file of a set holds.

    Attributes:
        features: (n, d) numbers, or None.
        logits: (n, k) numbers, or None.
        labels: (n,) int64; -1 where there are none.
    """

    features: np.ndarray | None
    logits: np.ndarray | None
    labels: np.ndarray

    @property
    def widths(self) -> tuple[int, int]:
        """Return d and k, 0 where there is no such array."""
        return tuple(0 if each is None else each.shape[1] for each in self[:2])  # type: ignore[return-value]


class ArraySet(Dataset):
    """Sets of features and logits, by split; their images are empty.

    Args:
        name: of the ID set or of an OOD set.
        paths: of the file of each split.
        num_classes: of the ID set.
    """

    shape = (1, 1, 1)

    def __init__(self, *, name: str, paths: Mapping[str, Path], num_classes: int = 0) -> None:
        self.name = name
        self.paths = paths
        self.num_classes = num_classes
        self.info = Info(name=printable(name), summary="Features and logits computed elsewhere.")
        self.splits = tuple(paths)

    def files(self, root: Path, split: str) -> Sequence[Path]:
        """Name the file of a split."""
        return [self.paths[split]]

    def load(self, root: Path, split: str) -> ImageSet:
        """Return an empty image of one pixel for each row, and the labels."""
        labels = self.open(split).labels
        return ImageSet(np.zeros((len(labels), 1, 1), np.uint8), labels)

    def open(self, split: str) -> Arrays:
        """Return the arrays of a split, see `open_set`."""
        return open_set(self.paths[split])

    def source(self, split: str) -> Source:
        """Return a split as a source of a run, identified by the bytes of its file."""
        path = self.paths[split]
        try:
            sha256 = digest_file(path)
        except OSError as error:
            raise InvalidData(f"{place_of(path)}: cannot be read: {error.strerror}") from error
        fingerprint = digest({"arrays": sha256})
        files_digest = digest([(path.parent.name, path.name, sha256)])
        contents = frozenset({sha256})
        return Source(self, split, path.parent, None, fingerprint, contents, files_digest)


@dataclass(frozen=True)
class Folder:
    """The files in a folder of arrays.

    Attributes:
        path: the folder.
        sets: paths by ``id-train``, ``id-test``, ``id-validation`` and ``ood-<name>``.
        head: the path of the head, or None.
    """

    path: Path
    sets: Mapping[str, Path]
    head: Path | None

    @property
    def ood(self) -> list[str]:
        """Return the names of the OOD sets."""
        return [name.removeprefix(OOD) for name in self.sets if name.startswith(OOD)]


def find_folder(path: Path) -> Folder:
    """Return the files in a folder of arrays; hidden ones and those of other kinds are ignored.

    Raises:
        UserError: if it is not a folder, a set has two files, or as `require_sets`.
    """
    if not path.is_dir():
        raise UserError(f"'{path}' is not a folder of arrays")
    found: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        if file.suffix.lower() not in SUFFIXES or file.name[0] == "." or not file.is_file():
            continue
        name = file.stem
        if name in found:
            raise UserError(f"'{path}' has both {found[name].name} and {file.name}; keep one")
        found[name] = file
    require_sets(found, f"'{path}'", f" ({', '.join(SUFFIXES)})")
    head = found.pop(HEAD_FILE, None)
    return Folder(path, found, head)


def require_sets(names: Iterable[str], place: str, kinds: str = "") -> None:
    """Raise `UserError` if a set has an unknown name, or one that is needed is missing.

    Args:
        names: of the sets, and of the head.
        place: where they are, for the message.
        kinds: of their files.
    """
    names = list(names)
    known = [TRAIN, TEST, VALIDATION, HEAD_FILE]
    for name in names:
        if name in known or (name.startswith(OOD) and name != OOD):
            continue
        begun = re.fullmatch(r"ood[-_. ]*(.+)", name, re.IGNORECASE)
        close = [f"{OOD}{begun[1]}"] if begun else difflib.get_close_matches(name, known, n=1)
        meant = f"; did you mean '{close[0]}'?" if close else ""
        raise UserError(
            f"{place} has arrays of the unknown name '{name}'; known are {', '.join(known)} and "
            f"{OOD}<name>{meant}"
        )
    for name in (TRAIN, TEST):
        if name not in names:
            raise UserError(f"{place} has no {name}{kinds}")
    if not any(name.startswith(OOD) for name in names):
        raise UserError(f"{place} has no OOD set, such as {OOD}svhn{kinds}")


def open_set(path: Path) -> Arrays:
    """Return the arrays of a set.

    Raises:
        InvalidData: if the file is damaged, or they are not of the shapes and types of `SET`.
    """
    place = place_of(path)
    found = {name: np.atleast_1d(array) for name, array in read_arrays(path, SET).items()}
    values = {name: found.get(name) for name in SET[:2]}
    rows = {name: len(array) for name, array in found.items()}
    if all(array is None for array in values.values()):
        raise InvalidData(f"{place}: neither features nor logits in it")
    if not any(rows.values()):
        raise InvalidData(f"{place}: there are no rows in it")
    for name, array in values.items():
        if array is not None and (
            array.ndim != 2 or array.shape[1] == 0 or array.dtype.kind not in "fiu"
        ):
            raise InvalidData(
                f"{place}: {name} are {array.dtype} {array.shape}, not numbers (n, d)"
            )
    if len(set(rows.values())) > 1:
        counts = ", ".join(f"{count:,} {name}" for name, count in rows.items())
        raise InvalidData(f"{place}: has {counts}; expected as many of each")
    count = next(iter(rows.values()))
    labels = found.get("labels")
    labels = np.full(count, -1) if labels is None else np.asarray(labels)
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise InvalidData(
            f"{place}: labels are {labels.dtype} {labels.shape}, not int64 ({count},)"
        )
    if labels.min() < -1:
        raise InvalidData(f"{place}: a label is {labels.min()}; expected classes from 0 up, or -1")
    return Arrays(values["features"], values["logits"], labels.astype(np.int64))


def rows_of(array: np.ndarray | ArrayFile, places: np.ndarray | slice) -> np.ndarray:
    """Return some rows of an array as float32; what is too large for it becomes infinite."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(take_rows(array, places), dtype=np.float32)


def chunks(count: int, width: int) -> Sequence[slice]:
    """Return slices of so many rows that are read at a time."""
    step = max(CHUNK // max(width, 1), 1)
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def write_given(folder: Path, sets: Mapping[str, Any]) -> None:
    """Write sets of arrays that Python gives as files of a folder.

    Raises:
        UserError: if a set is missing, or a set or an array has an unknown name or holds anything
            but numbers.
    """
    require_sets(map(str, sets), "the mapping of arrays")
    for part, arrays in sets.items():
        place = f"arrays['{part}']"
        known = HEAD if part == HEAD_FILE else SET
        if not isinstance(arrays, Mapping):
            kind = type(arrays).__name__
            raise UserError(f"{place} is of type {kind}, not a mapping of {', '.join(known)}")
        if unknown := [str(name) for name in arrays if name not in known]:
            raise UserError(f"{place}: unknown array '{unknown[0]}'; known: {', '.join(known)}")
        if "/" in part or "\0" in part:
            raise UserError(f"{place}: the name of an OOD set cannot contain '/'")
        write_arrays(folder / f"{part}.safetensors", arrays)
