"""The files of a run, verified by checksum, as plain values and Arrow tables.

What reads a thousand runs reads them here; `oodbench.results.run` makes data frames of the same
values.
"""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.compute
import pyarrow.parquet

from oodbench.errors import InvalidData, UserError
from oodbench.results.schema import parse_info
from oodbench.store.artifacts import digest_file
from oodbench.store.validation import LENGTH, read_bytes, require_size

RUN = "run.json"


INFO_BYTES = 32 * 2**20
"""Bytes of a ``run.json`` at most."""

RECORDS_BYTES = 64 * 2**20
"""Bytes of ``records.csv`` at most."""

RECORDS = 100_000
"""Records at most, whatever ``run.json`` says."""

TABLE_BYTES = 2**29
"""Bytes of a Parquet file at most."""

ROWS = 20_000_000
"""Rows of a Parquet file at most, whatever ``run.json`` says: they take two GiB of memory. Three
classifiers, 60 detectors and ten sets of 10,000 images make 18 million."""

ROW_BYTES, SPARE_BYTES = 100, 64 * 2**20
"""Bytes that a row takes at most when it is unpacked, and names beside them."""

LEAST = 1e-150
"""The smallest number above 0 that is read: what is divided by less is beyond every number."""

_NAMES = (pyarrow.types.is_dictionary, pyarrow.types.is_string, pyarrow.types.is_large_string)
_TYPES = {
    "category": _NAMES,
    "int64": (pyarrow.types.is_integer,),
    "Int64": (pyarrow.types.is_integer,),
    "float64": (pyarrow.types.is_floating,),
}
"""What the types of a Parquet file's columns may be, by the dtype that they are read as."""


def records_limit(info: Mapping[str, Any]) -> int:
    """Return how many records a run can have, by what its ``run.json`` says was compared."""
    request = info["request"]
    detectors = len(request["detectors"]) + len(info.get("broken", {}))
    return min(RECORDS, detectors * _fits(request) * _sets(request) * _folds(info))


def rows_limit(info: Mapping[str, Any]) -> int:
    """Return how many images a run can have scored or predicted."""
    request = info["request"]
    images = request["calibration_images"] + request["images_per_set"] * _sets(request)
    fits = max(len(request["detectors"]), 1) * _fits(request) * _folds(info)
    return int(min(ROWS, fits * images))


def require_readable(rows: int) -> None:
    """Raise `UserError` if a run with so many scores could not be read."""
    if rows > ROWS:
        raise UserError(f"the run has at least {rows:,} scores, more than {_said(ROWS, ROWS)}")


def _folds(info: Mapping[str, Any]) -> int:
    return len(info.get("folds", ())) or 1


def _fits(request: Mapping[str, Any]) -> int:
    return len(request["seeds"]) * len(request["classifier_seeds"])


def _sets(request: Mapping[str, Any]) -> int:
    return 1 + max(len(request["ood"]), len(request["fingerprints"]["ood"]))


def read_info(directory: Path) -> dict[str, Any]:
    """Read the ``run.json`` of a run, see `oodbench.results.schema.RunInfo`.

    Raises:
        UserError: if the directory holds no finished run.
        InvalidData: if the file is damaged or something else.
    """
    path = directory / RUN
    try:
        return parse_info(read_bytes(path, INFO_BYTES))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"'{directory}' holds no finished run: there is no {RUN} in it") from error
    except OSError as error:
        raise UserError(f"cannot read '{path}': {error.strerror}") from error
    except ValueError as error:
        raise InvalidData(f"'{path}' is damaged, or not the {RUN} of a run: {error}") from error


def verified(directory: Path, name: str, info: Mapping[str, Any]) -> Path:
    """Return the path of a run's file.

    Raises:
        InvalidData: if it is not as it was written.
    """
    path = directory / name
    try:
        require_size(path, RECORDS_BYTES if name.endswith(".csv") else TABLE_BYTES)
        digest = digest_file(path)
    except FileNotFoundError as error:
        raise InvalidData(f"the run in '{directory}' lacks its {name}") from error
    except OSError as error:
        raise InvalidData(f"cannot read '{path}': {error.strerror}") from error
    except ValueError as error:
        raise InvalidData(f"'{path}': {error}") from error
    if digest != info["files"].get(name):
        raise InvalidData(
            f"'{path}' is not as the run left it (its checksum differs from that in {RUN}): it is "
            "truncated or was changed; repeat the run"
        )
    return path


def read_columns(path: Path, columns: Mapping[str, str], limit: int) -> dict[str, list[Any]]:
    """Read a CSV file of records as plain values, column by column.

    Args:
        path: of the file.
        columns: dtype by name: ``str``, ``float64``, ``int64``, or ``Int64``, which may be missing.
        limit: rows that there may be.

    Returns:
        For each of the columns its values; a missing float is NaN, a missing integer None.

    Raises:
        InvalidData: if the file is unreadable, lacks a column, has too many rows or holds a value
            of a wrong type.
    """
    try:
        require_size(path, RECORDS_BYTES)
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file)
            header = next(lines, [])
            rows = [row for row in itertools.islice(lines, limit + 1) if row]
        cells = zip(*rows, strict=True) if rows else [()] * len(header)
        texts = dict(zip(header, cells, strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise InvalidData(f"cannot read records from '{path}': {error}") from error
    if len(rows) > limit:
        raise InvalidData(f"'{path}' has more records than {_said(limit, RECORDS)}")
    require_columns(texts, columns, path)
    values = {}
    for name, dtype in columns.items():
        try:
            values[name] = [_parse(text, dtype) for text in texts[name]]
        except ValueError as error:
            raise InvalidData(f"'{path}', column {name}: {error}") from error
    return values


def read_table(path: Path, columns: Mapping[str, str], limit: int) -> pyarrow.Table:
    """Read the columns of a Parquet file, whose counts and types are looked at first.

    Args:
        path: of the file.
        columns: dtype by name: ``category``, ``int64``, ``Int64`` or ``float64``.
        limit: rows that there may be.

    Raises:
        InvalidData: if it is damaged, something else, too large, lacks a column, or has one of a
            wrong type.
    """
    names = [name for name, dtype in columns.items() if dtype == "category"]
    try:
        require_size(path, TABLE_BYTES)
        # Opened here: given a path, Arrow would look for a folder of partitions.
        with path.open("rb") as opened:
            found = pyarrow.parquet.read_metadata(opened)
            require_counts(found, limit, path)
            _require_types(found.schema.to_arrow_schema(), columns, path)
            file = pyarrow.parquet.ParquetFile(
                opened, metadata=found, read_dictionary=names, pre_buffer=False
            )
            table = file.read(list(columns), use_threads=False)
    except InvalidData:
        raise
    except (OSError, ValueError, MemoryError, pyarrow.ArrowException) as error:
        raise InvalidData(f"'{path}' is damaged, or no Parquet file") from error
    conformed = {
        name: _conform(table[name], dtype, f"'{path}', column {name}")
        for name, dtype in columns.items()
    }
    return pyarrow.table(conformed)  # without what the file says on how pandas should read it


def _conform(column: pyarrow.ChunkedArray, dtype: str, place: str) -> pyarrow.ChunkedArray:
    """Return a column of a Parquet file in the type of a dtype; a float column may stay float32.

    Raises:
        InvalidData: if a value does not fit the type, is missing, or is not finite.
    """
    if column.null_count and dtype != "Int64":
        raise InvalidData(f"{place}: a value is missing")
    try:
        if dtype == "category":
            is_name = pyarrow.types.is_dictionary(column.type) and pyarrow.types.is_string(
                column.type.value_type
            )
            return column if is_name else column.cast(pyarrow.string()).dictionary_encode()
        if dtype == "float64":
            wide = pyarrow.types.is_float32(column.type) or pyarrow.types.is_float64(column.type)
            column = column if wide else column.cast(pyarrow.float64())
            if not pyarrow.compute.all(pyarrow.compute.is_finite(column), min_count=0).as_py():
                raise InvalidData(f"{place}: a number is not finite")
            return column
        return column.cast(pyarrow.int64())
    except InvalidData:
        raise
    except (ValueError, pyarrow.ArrowException) as error:
        raise InvalidData(f"{place}: values of the wrong type: {error}") from error


def require_counts(found: pyarrow.parquet.FileMetaData, limit: int, path: Path) -> None:
    """Raise `InvalidData` if a Parquet file says that it holds too much."""
    if found.num_rows > limit:
        raise InvalidData(f"'{path}' has {found.num_rows:,} rows, more than {_said(limit, ROWS)}")
    size = sum(found.row_group(number).total_byte_size for number in range(found.num_row_groups))
    allowed = ROW_BYTES * found.num_rows + SPARE_BYTES
    if size > allowed:
        raise InvalidData(
            f"'{path}' unpacks to {size:,} bytes, more than {allowed:,} for {found.num_rows:,} rows"
        )


def _require_types(found: pyarrow.Schema, columns: Mapping[str, str], path: Path) -> None:
    """Raise `InvalidData` if a Parquet file lacks a column or has one of a wrong type."""
    require_columns(found.names, columns, path)
    for name, dtype in columns.items():
        places = found.get_all_field_indices(name)
        if len(places) > 1:
            raise InvalidData(f"'{path}' has the column {name} twice")
        kind = found.field(places[0]).type
        is_empty = pyarrow.types.is_null(kind)  # as is every column of no rows, or no seeds
        if not is_empty and not any(fits(kind) for fits in _TYPES[dtype]):
            raise InvalidData(f"'{path}', column {name}: values of the wrong type {kind}")


def _said(limit: int, most: int) -> str:
    """Return a limit with where it comes from."""
    if limit < most:
        return f"the {limit:,} that {RUN} allows for"
    return f"the {limit:,} that can be read of one run; compare fewer detectors in each"


def require_columns(found: Iterable[str], columns: Iterable[str], path: Path) -> None:
    """Raise `InvalidData` if a file lacks a column."""
    missing = [name for name in columns if name not in set(found)]
    if missing:
        raise InvalidData(
            f"'{path}' is not a run's {path.name}: it has no column {', '.join(missing)} "
            "('oodbench recompute' updates a run of an older version)"
        )


def require_bounds(values: Iterable[float | None], low: float, high: float, place: str) -> None:
    """Raise `InvalidData` if a value is not missing, and beyond its bounds or next to nothing."""
    for value in values:
        if value is None or math.isnan(value):
            continue
        if not low <= value <= high or 0 < value < LEAST:
            raise InvalidData(f"{place}: {value} is beyond its bounds")


def _parse(text: str, dtype: str) -> Any:
    """Return the text of a cell as a value; empty, it is missing where the dtype allows that."""
    if len(text) > LENGTH:
        raise ValueError(f"a text has more than {LENGTH:,} characters")
    if dtype == "str":
        return text
    if dtype == "float64":
        value = float(text) if text else math.nan
        if math.isinf(value):
            raise ValueError(f"a number is not finite: {text[:20]}")
        return value
    if not text and dtype == "Int64":
        return None
    number = int(text)
    if not 0 <= number < 2**63:
        raise ValueError(f"not a whole number from 0 to 2**63 - 1: {text[:20]}")
    return number
