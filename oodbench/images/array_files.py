"""Files of arrays: .npz, .safetensors and .parquet, read and written.

Of uncompressed ``.npz`` files and of ``.safetensors`` files the values are read from the disk when
they are asked for.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oodbench.errors import InvalidData, UserError, reason_of
from oodbench.images.geometry import BOMB_BYTES, BOMB_RATIO

SUFFIXES = (".npz", ".safetensors", ".parquet")

GIVEN = "oodbench-arrays-"
"""How the names of the temporary folders begin that hold arrays given in Python."""

_MAPPED = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I8": "i1", "U8": "u1"} | {
    f"{kind}{bits}": f"<{kind.lower()}{bits // 8}" for kind in "IU" for bits in (16, 32, 64)
}
"""NumPy's names of the types in safetensors files, but for bfloat16, which it lacks."""


def place_of(path: Path) -> str:
    """Return what messages call the file of a set or a head, where Python may have given it."""
    is_given = path.parent.parent.name.startswith(GIVEN)
    return f"arrays['{path.stem}']" if is_given else str(path)


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return those arrays of a file that have one of some names.

    Raises:
        InvalidData: if the file cannot be read, or is damaged.
    """
    readers = {".npz": _read_npz, ".safetensors": _read_safetensors, ".parquet": _read_parquet}
    try:
        return readers[path.suffix.lower()](path, names)
    except InvalidData:
        raise
    except Exception as error:  # the readers raise anything on damaged files
        kind = path.suffix.lower().removeprefix(".")
        reason = reason_of(error)
        raise InvalidData(f"{place_of(path)}: damaged, or no {kind} file: {reason}") from error


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


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays as a safetensors file: NumPy arrays, tensors, or frames of pandas.

    Raises:
        UserError: if one holds anything but numbers.
    """
    from safetensors.numpy import save_file

    found = {}
    for name, values in arrays.items():
        tensor = values.detach().cpu() if hasattr(values, "detach") else values
        try:
            array = np.ascontiguousarray(tensor)
        except (TypeError, ValueError) as error:  # of rows of several lengths, or bfloat16
            raise UserError(f"{place_of(path)}: {name} are no array: {reason_of(error)}") from error
        if array.dtype.kind not in "fiu":
            raise UserError(f"{place_of(path)}: {name} are {array.dtype}, not numbers")
        found[name] = array
    save_file(found, path)
