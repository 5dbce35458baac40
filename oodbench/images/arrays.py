"""Features and logits that were computed elsewhere, in the place of images.

A folder holds ``id-train``, ``id-test``, optionally ``id-validation``, any number of
``ood-<name>``, and optionally ``head``, each as ``.npz``, ``.safetensors`` or ``.parquet``. A set
has the arrays `SET`, features or logits or both; the head has the arrays `HEAD`. In Parquet a row
of an array is a list.

Of uncompressed ``.npz`` files and of ``.safetensors`` files the values are read from the disk when
they are asked for.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from oodbench.contracts import Dataset, ImageSet, Info
from oodbench.errors import InvalidData, UserError, reason_of
from oodbench.identity.keys import digest
from oodbench.images.geometry import BOMB_BYTES, BOMB_RATIO
from oodbench.images.npy import ArrayFile, take_rows
from oodbench.images.sources import Source
from oodbench.store.artifacts import digest_file
from oodbench.store.paths import printable

TRAIN, TEST, VALIDATION, OOD, HEAD_FILE = "id-train", "id-test", "id-validation", "ood-", "head"

SUFFIXES = (".npz", ".safetensors", ".parquet")

SET = ("features", "logits", "labels")
"""``features`` (n, d), ``logits`` (n, k) and ``labels`` (n,); -1, or no array, without labels."""

HEAD = ("weight", "bias")
"""``weight`` (k, d) and ``bias`` (k,): the linear layer from features to logits."""

CHUNK = 2**24
"""Values that are read at a time."""

_MAPPED = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I8": "i1", "U8": "u1"} | {
    f"{kind}{bits}": f"<{kind.lower()}{bits // 8}" for kind in "IU" for bits in (16, 32, 64)
}
"""NumPy's names of the types in safetensors files, but for bfloat16, which it lacks."""


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
            raise InvalidData(f"{path}: cannot be read: {error.strerror}") from error
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
    """Return the files in a folder of arrays; other files there are ignored.

    Raises:
        UserError: if it is not a folder, a set has two files, or one that is needed has none.
    """
    if not path.is_dir():
        raise UserError(f"'{path}' is not a folder of arrays")
    found: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        if file.suffix not in SUFFIXES or not file.is_file():
            continue
        name = file.stem
        if name not in (TRAIN, TEST, VALIDATION, HEAD_FILE) and not name.startswith(OOD):
            continue
        if name in found:
            raise UserError(f"'{path}' has both {found[name].name} and {file.name}; keep one")
        found[name] = file
    head = found.pop(HEAD_FILE, None)
    for name in (TRAIN, TEST):
        if name not in found:
            raise UserError(f"'{path}' has no {name}.npz, .safetensors or .parquet")
    if not any(name.startswith(OOD) for name in found):
        raise UserError(f"'{path}' has no OOD set, such as {OOD}svhn.npz")
    return Folder(path, found, head)


def open_set(path: Path) -> Arrays:
    """Return the arrays of a set.

    Raises:
        InvalidData: if the file is damaged, or they are not of the shapes and types of `SET`.
    """
    found = read_arrays(path, SET)
    values = {name: found.get(name) for name in SET[:2]}
    rows = {name: len(array) for name, array in found.items()}
    if all(array is None for array in values.values()):
        raise InvalidData(f"{path}: neither features nor logits in it")
    for name, array in values.items():
        if array is not None and (
            array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "fiu"
        ):
            raise InvalidData(f"{path}: {name} are {array.dtype} {array.shape}, not numbers (n, d)")
    if len(set(rows.values())) > 1:
        counts = ", ".join(f"{count:,} {name}" for name, count in rows.items())
        raise InvalidData(f"{path}: has {counts}; expected as many of each")
    count = next(iter(rows.values()))
    labels = found.get("labels")
    labels = np.full(count, -1) if labels is None else np.asarray(labels)
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise InvalidData(f"{path}: labels are {labels.dtype} {labels.shape}, not int64 ({count},)")
    if labels.min() < -1:
        raise InvalidData(f"{path}: a label is {labels.min()}; expected classes from 0 up, or -1")
    return Arrays(values["features"], values["logits"], labels.astype(np.int64))


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return those arrays of a file that have one of some names.

    Raises:
        InvalidData: if the file cannot be read, or is damaged.
    """
    readers = {".npz": _read_npz, ".safetensors": _read_safetensors, ".parquet": _read_parquet}
    try:
        return readers[path.suffix](path, names)
    except InvalidData:
        raise
    except Exception as error:  # the readers raise anything on damaged files
        kind = path.suffix.removeprefix(".")
        raise InvalidData(f"{path}: damaged, or no {kind} file: {reason_of(error)}") from error


def _read_npz(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        stored = {name: members[name] for name in names if name in members}
        for name, info in stored.items():
            if info.file_size > max(BOMB_BYTES, BOMB_RATIO * info.compress_size):
                raise InvalidData(f"{path}: {name} unpacks to {info.file_size:,} bytes")
        found = {
            name: _map_member(path, info)
            for name, info in stored.items()
            if info.compress_type == zipfile.ZIP_STORED
        }
    with np.load(path, allow_pickle=False) as packed:
        return {name: found[name] if name in found else packed[name] for name in stored}


def _map_member(path: Path, info: zipfile.ZipInfo) -> np.ndarray:
    """Return an array that lies uncompressed in an .npz file, its values still on the disk."""
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)  # the lengths of name and extra field follow
        name, extra = (int.from_bytes(file.read(2), "little") for _ in range(2))
        start = info.header_offset + 30 + name + extra
        file.seek(start)
        major, _ = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0
            if major == 1
            else np.lib.format.read_array_header_2_0
        )
        shape, by_column, dtype = read(file)
        offset = file.tell()
    size = offset - start + int(np.prod(shape, dtype=object)) * dtype.itemsize
    if dtype.hasobject or size != info.file_size:
        raise ValueError(f"an array of {dtype} {shape} in {info.file_size:,} bytes")
    return np.memmap(path, dtype, "r", offset, shape, "F" if by_column else "C")


def _read_safetensors(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:  # verifies the header
        stored = [name for name in names if name in file.keys()]  # noqa: SIM118
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    found = {}
    for name in stored:
        about = header[name]
        if about["dtype"] == "BF16":
            with safe_open(path, "pt") as file:
                found[name] = file.get_tensor(name).float().numpy()
        else:
            dtype, offset = np.dtype(_MAPPED[about["dtype"]]), 8 + length + about["data_offsets"][0]
            found[name] = np.memmap(path, dtype, "r", offset, tuple(about["shape"]))
    return found


def _read_parquet(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    import pyarrow
    import pyarrow.parquet

    with path.open("rb") as opened:
        file = pyarrow.parquet.ParquetFile(opened)
        stored = [name for name in names if name in file.schema_arrow.names]
        table = file.read(stored)
    found = {}
    for name in stored:
        column = table[name].combine_chunks()
        if column.null_count:
            raise ValueError(f"a row of {name} is missing")
        values = column
        if not pyarrow.types.is_primitive(column.type):
            values = column.flatten()
        array = values.to_numpy(zero_copy_only=False)
        if values is not column:
            lengths = set(column.value_lengths().to_pylist()) if len(column) else {0}
            if len(lengths) != 1:
                raise ValueError(f"rows of {name} differ in length")
            array = array.reshape(len(column), *lengths)
        found[name] = array
    return found


def rows_of(array: np.ndarray | ArrayFile, places: np.ndarray | slice) -> np.ndarray:
    """Return some rows of an array as float32."""
    return np.ascontiguousarray(take_rows(array, places), dtype=np.float32)


def chunks(count: int, width: int) -> Sequence[slice]:
    """Return slices of so many rows that are read at a time."""
    step = max(CHUNK // max(width, 1), 1)
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays as a safetensors file: NumPy arrays, tensors, or frames of pandas.

    Raises:
        UserError: if one holds anything but numbers.
    """
    from safetensors.numpy import save_file

    found = {}
    for name, values in arrays.items():
        tensor = values.detach().cpu() if hasattr(values, "detach") else values
        array = np.ascontiguousarray(tensor)
        if array.dtype.kind not in "fiu":
            raise UserError(f"the {name} of {path.stem} are {array.dtype}, not numbers")
        found[name] = array
    save_file(found, path)
