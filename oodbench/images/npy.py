"""Arrays in .npy files, some rows of which are written or read at a time.

No more than these rows is in memory. A file that is mapped would stay there as far as it was read,
and a system may map a megabyte around each row.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

READ_BYTES = 2**24
"""Bytes that are read at a time."""

_HEADERS = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
"""What reads the header of an array, by the version of its format."""


@dataclass(frozen=True)
class ArrayFile:
    """An array in a file, whose rows are written or read in any order, and by any process.

    Attributes:
        path: of the file.
        dtype: of the array.
        shape: of the array.
        start: where the values begin in the file.
    """

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int

    @classmethod
    def create(cls, path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Self:
        """Write the file that `numpy.save` writes of an array of zeros."""
        header = {
            "descr": np.lib.format.dtype_to_descr(dtype),
            "fortran_order": False,
            "shape": shape,
        }
        with path.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            made = cls(path, dtype, shape, file.tell())
            file.truncate(made.start + made.shape[0] * made.row_bytes)
        return made

    @classmethod
    def open(cls, path: Path) -> Self:
        """Return the array in a file that was written row by row.

        Raises:
            ValueError: if it is no .npy file, or was written column by column.
        """
        with path.open("rb") as file:
            major, _ = np.lib.format.read_magic(file)
            shape, by_column, dtype = _HEADERS[major](file)
            if by_column:
                raise ValueError(f"{path} was written column by column")
            return cls(path, dtype, shape, file.tell())

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def row_bytes(self) -> int:
        """Return the bytes of a row."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def write(self, first: int, rows: np.ndarray) -> None:
        """Write some rows, of the dtype of the array, from position ``first`` on."""
        with self.path.open("r+b") as file:
            file.seek(self.start + first * self.row_bytes)
            file.write(np.ascontiguousarray(rows).reshape(-1).data)

    def read(self, rows: slice | np.ndarray) -> np.ndarray:
        """Return some rows as a new array.

        Raises:
            EOFError: if the file is truncated.
        """
        places = np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else rows
        found = np.empty((len(places), *self.shape[1:]), self.dtype)
        values: Any = found.reshape(-1).view(np.uint8)
        content, size = memoryview(values), self.row_bytes
        begins = np.flatnonzero(np.diff(places, prepend=-2) != 1).tolist()  # of rows in a row
        with self.path.open("rb") as file:
            for begin, end in zip(begins, [*begins[1:], len(places)], strict=False):
                file.seek(self.start + int(places[begin]) * size)
                if file.readinto(content[begin * size : end * size]) < (end - begin) * size:
                    raise EOFError(f"{self.path} is truncated")
        return found


def take_rows(array: np.ndarray | ArrayFile, rows: slice | np.ndarray) -> np.ndarray:
    """Return some rows as a new array; of one in a file, what was read does not stay in memory."""
    if isinstance(array, ArrayFile):
        return array.read(rows)
    found = np.array(array[rows]) if isinstance(rows, slice) else np.asarray(array[rows])
    if isinstance(array, np.memmap) and hasattr(mmap, "MADV_DONTNEED"):
        array._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]
    return found


def slices(count: int, row_bytes: int) -> Iterator[slice]:
    """Yield slices of so many rows that are read at a time."""
    step = max(READ_BYTES // max(row_bytes, 1), 1)
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def predicted_classes(logits: ArrayFile) -> np.ndarray:
    """Return the class with the largest logit of each image, (n,) int64, given logits (n, k)."""
    found = [logits.read(part).argmax(1) for part in slices(len(logits), logits.row_bytes)]
    return np.concatenate([np.empty(0, np.int64), *found])
