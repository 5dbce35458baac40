"""Read the files of a run, verified by their checksums, as plain values and Arrow tables.

What reads a thousand runs reads them here; `oodbench.results` makes data frames of the same values.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from oodbench.errors import InvalidData, UserError

RUN = "run.json"


def read_info(directory: Path) -> dict[str, Any]:
    """Read the ``run.json`` of a run.

    Raises:
        UserError: if the directory holds no finished run.
        InvalidData: if the file is damaged or something else.
    """
    path = directory / RUN
    try:
        info: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(info["files"], dict):
            raise TypeError("no table of files")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"'{directory}' holds no finished run: there is no {RUN} in it") from error
    except OSError as error:
        raise UserError(f"cannot read '{path}': {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidData(f"'{path}' is damaged, or not the {RUN} of a run") from error
    return info


def verified(directory: Path, name: str, info: Mapping[str, Any]) -> Path:
    """Return the path of a run's file.

    Raises:
        InvalidData: if it is not as it was written.
    """
    path = directory / name
    try:
        digest = sha256(path)
    except FileNotFoundError as error:
        raise InvalidData(f"the run in '{directory}' has lost its {name}") from error
    except OSError as error:
        raise InvalidData(f"cannot read '{path}': {error.strerror}") from error
    if digest != info["files"].get(name):
        raise InvalidData(
            f"'{path}' is not as the run left it (its checksum differs from that in {RUN}): it is "
            "truncated or was changed; repeat the run"
        )
    return path


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_columns(path: Path, columns: Mapping[str, str]) -> dict[str, list[Any]]:
    """Read a CSV file of records as plain values, column by column.

    Args:
        path: of the file.
        columns: dtype by name: ``str``, ``float64``, ``int64``, or ``Int64``, which may be missing.

    Returns:
        For each of the columns its values; a missing float is NaN, a missing integer None.

    Raises:
        InvalidData: if the file is unreadable, lacks a column or holds a value of a wrong type.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file)
            header = next(lines, [])
            rows = [row for row in lines if row]
        cells = zip(*rows, strict=True) if rows else [()] * len(header)
        texts = dict(zip(header, cells, strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise InvalidData(f"cannot read records from '{path}': {error}") from error
    require_columns(texts, columns, path)
    values = {}
    for name, dtype in columns.items():
        try:
            values[name] = _parse(texts[name], dtype)
        except ValueError as error:
            raise InvalidData(f"'{path}', column {name}: {error}") from error
    return values


def read_table(path: Path, columns: Iterable[str]) -> pyarrow.Table:
    """Read a Parquet file.

    Raises:
        InvalidData: if it is damaged, something else, or lacks a column.
    """
    try:
        # Opened here: given a path, Arrow would look for a folder of partitions.
        with path.open("rb") as file:
            table = pyarrow.parquet.read_table(file, use_threads=False)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise InvalidData(f"'{path}' is damaged, or no Parquet file") from error
    require_columns(table.column_names, columns, path)
    return table


def require_columns(found: Iterable[str], columns: Iterable[str], path: Path) -> None:
    """Raise `InvalidData` if a file lacks a column."""
    missing = [name for name in columns if name not in set(found)]
    if missing:
        raise InvalidData(
            f"'{path}' is not a run's {path.name}: it has no column {', '.join(missing)} "
            "('oodbench recompute' brings a run of an older version up to date)"
        )


def _parse(texts: Iterable[str], dtype: str) -> list[Any]:
    """Return the texts of one column as values; empty ones are missing, where the dtype allows."""
    if dtype == "str":
        return list(texts)
    if dtype == "float64":
        return [float(text) if text else math.nan for text in texts]
    return [int(text) if text or dtype == "int64" else None for text in texts]
