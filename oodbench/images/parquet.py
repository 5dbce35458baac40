"""Data sets in the format of Hugging Face: Parquet files with a column of images and one of labels.

An image is a struct of ``bytes``, those of a picture's file, and ``path``, which is not opened. The
files of a split have its name in theirs, as in ``data/train-00000-of-00002.parquet``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from oodbench.errors import InvalidData, UserError, reason_of
from oodbench.images.folders import NAMES
from oodbench.images.pictures import Encoded, Encodings

if TYPE_CHECKING:
    import pyarrow

SUFFIX = ".parquet"

LABELS = ("label", "labels", "fine_label")
"""Names of columns of labels, in the order of preference."""

LARGEST = 2**31
"""What whole numbers that are labels stay below."""

GROUP_BYTES = 2**31
"""Bytes that a row group may unpack to: one is in memory at a time."""


def find_files(place: Path, suffix: str = SUFFIX) -> dict[str, list[Path]]:
    """Return the Parquet files in a folder, or the one file, by split; ``test`` if none is named.

    Args:
        place: the folder or file.
        suffix: of the files, where others are meant.

    Raises:
        InvalidData: if some files name a split and others none.
    """
    paths = [place] if place.is_file() else sorted(place.rglob(f"*{suffix}"))
    found: dict[str, list[Path]] = {}
    for path in paths:
        parts = path.relative_to(place.parent if place.is_file() else place).parts
        if not any(part.startswith(".") for part in parts):
            found.setdefault(_split_of(parts), []).append(path)
    if "" in found and len(found) > 1:
        raise InvalidData(
            f"{found[''][0]}: its name says no split, and others of the set do; move it elsewhere"
        )
    return {"test": found[""]} if "" in found else found


def _split_of(parts: Sequence[str]) -> str:
    """Return the split that a path means: the first word of its last part that means one."""
    for part in reversed(parts):
        for word in re.split(r"[^a-z]+", part.lower()):
            if word in NAMES:
                return NAMES[word]
    return ""


@dataclass
class Rows:
    """The images of some Parquet files, in their order; row groups are read when asked for.

    Attributes:
        files: the Parquet files.
        column: name of the column of images.
        starts: (g + 1,) where each row group starts, and the number of all rows.
        groups: the file and the number in it of each row group.
    """

    files: Sequence[Path]
    column: str
    starts: np.ndarray
    groups: Sequence[tuple[Path, int]]
    _latest: tuple[int, pyarrow.Array | None] = field(default=(-1, None), compare=False)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, position: int) -> Encoded:
        """Return an image.

        Raises:
            InvalidData: if it has no bytes, or the file cannot be read.
        """
        group = int(np.searchsorted(self.starts, position, "right")) - 1
        path, number = self.groups[group]
        row = position - int(self.starts[group])
        if self._latest[0] != group:
            self._latest = (group, _read_column(path, number, self.column))
        image = self._latest[1][row].as_py() or {}  # type: ignore[index]
        name = f"{path}, row group {number}, row {row}"
        if not image.get("bytes"):
            raise InvalidData(f"{name}: the image has no bytes; files it names are not opened")
        return Encoded(name, image["bytes"])

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the row group that was read last."""
        return self.__dict__ | {"_latest": (-1, None)}


@dataclass(frozen=True)
class Table:
    """The images and labels of a split.

    Attributes:
        rows: the images, each read when it is asked for.
        labels: (N,) int64, not below 0; -1 where there is none.
        values: the different labels in ascending order, without -1.
        classes: the names of those classes.
    """

    rows: Encodings
    labels: np.ndarray
    values: np.ndarray
    classes: list[str]


def open_table(files: Sequence[Path], image: str = "", label: str = "") -> Table:
    """Return the images and labels of some Parquet files.

    Args:
        files: of one split.
        image: name of the column of images; by default the only one.
        label: name of the column of labels; by default one of `LABELS`.

    Raises:
        UserError: if it is not clear which column is meant.
        InvalidData: if a file cannot be read, or files differ in their columns.
    """
    import pyarrow.parquet

    starts, labels = [0], list[Any]()
    groups: list[tuple[Path, int]] = []
    columns, names = ("", ""), None
    for path in files:
        try:
            file = pyarrow.parquet.ParquetFile(path)
            chosen = _choose(path, file.schema_arrow, image, label)
            if groups and chosen != columns:
                raise InvalidData(f"{path}: has other columns than {files[0]}")
            columns = chosen
            names = names or _class_names(file.schema_arrow, columns[1])
            for number in range(file.metadata.num_row_groups):
                about = file.metadata.row_group(number)
                if about.total_byte_size > GROUP_BYTES:
                    raise InvalidData(
                        f"{path}: row group {number} unpacks to {about.total_byte_size:,} bytes; "
                        f"write groups of at most {GROUP_BYTES:,}"
                    )
                starts.append(starts[-1] + about.num_rows)
                groups.append((path, number))
            if columns[1]:
                labels += file.read([columns[1]]).column(0).to_pylist()
        except UserError:
            raise
        except Exception as error:  # the reader raises anything on damaged files
            raise InvalidData(f"{path}: no readable Parquet file: {reason_of(error)}") from error
    rows = Rows(files, columns[0], np.array(starts), groups)
    if not labels:
        return Table(rows, np.full(len(rows), -1), np.arange(0), [])
    return Table(rows, *number_labels(labels, names, files[0]))


def _choose(path: Path, schema: pyarrow.Schema, image: str, label: str) -> tuple[str, str]:
    """Return the names of the columns of images and labels; an empty one without labels."""
    images = [each.name for each in schema if _holds_images(each.type)]
    if image not in images and (image or len(images) != 1):
        found = ", ".join(images) or "none"
        raise UserError(
            f"{path}: columns of images, with bytes and path: {found}; name one by the parameter "
            "'image'"
        )
    if label and label not in schema.names:
        raise UserError(f"{path}: has no column '{label}' of labels: {', '.join(schema.names)}")
    known = [name for name in LABELS if name in schema.names]
    return image or images[0], label or (known[0] if known else "")


def _holds_images(kind: pyarrow.DataType) -> bool:
    """Return whether a column is of structs with the bytes of a file."""
    from pyarrow import types

    if not types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        return False
    content = kind.field("bytes").type
    return bool(types.is_binary(content) or types.is_large_binary(content))


def _class_names(schema: pyarrow.Schema, column: str) -> list[str] | None:
    """Return the names of classes that the metadata of Hugging Face give a column of labels."""
    try:
        about = json.loads((schema.metadata or {})[b"huggingface"])
        names = about["info"]["features"][column]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return [str(name) for name in names] if isinstance(names, list) else None


def number_labels(
    labels: list[Any], names: list[str] | None, path: Path
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return labels as numbers, the different ones, and what these classes are called.

    Args:
        labels: of each image; None where there is none.
        names: of the classes, by number, if they are known.
        path: of the file, for messages.

    Raises:
        InvalidData: if labels are neither whole numbers nor texts, or have no name.
    """
    if all(type(each) is str or each is None for each in labels):
        classes = sorted({each for each in labels if each is not None})
        numbers_of = {name: number for number, name in enumerate(classes)} | {None: -1}
        numbers = np.array([numbers_of[each] for each in labels], dtype=np.int64)
        return numbers, np.arange(len(classes)), classes
    if not all(each is None or (type(each) is int and each < LARGEST) for each in labels):
        raise InvalidData(f"{path}: labels are neither texts nor whole numbers below {LARGEST:,}")
    numbers = np.array([-1 if each is None else max(each, -1) for each in labels], dtype=np.int64)
    values = np.unique(numbers[numbers >= 0])
    if names is None:
        return numbers, values, [str(each) for each in values]
    if len(values) and values[-1] >= len(names):
        raise InvalidData(f"{path}: a label is {values[-1]}, of {len(names):,} names of classes")
    return numbers, values, [names[each] for each in values]


def _read_column(path: Path, group: int, column: str) -> pyarrow.Array:
    """Return the images of a row group.

    Raises:
        InvalidData: if they cannot be read.
    """
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(path).read_row_group(group, [column])
        return table[column].combine_chunks()
    except Exception as error:  # the reader raises anything on damaged files
        raise InvalidData(f"{path}: no readable Parquet file: {reason_of(error)}") from error
