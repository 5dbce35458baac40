"""Packs: a run's files in one ZIP archive, with nothing executable in it."""

from __future__ import annotations

import os
import shutil
import struct
import zipfile
from pathlib import Path

from oodbench.errors import InvalidData, UserError, reason_of
from oodbench.images.geometry import BROKEN_ZIP
from oodbench.results.files import INFO_BYTES, RECORDS_BYTES, RUN, TABLE_BYTES
from oodbench.results.run import Run
from oodbench.store.validation import require_size

REQUIRED = ("run.json", "records.csv", "scores.parquet", "predictions.parquet")
"""The files that a pack must hold."""

LIMITS = {
    "run.json": INFO_BYTES,
    "records.csv": RECORDS_BYTES,
    "scores.parquet": TABLE_BYTES,
    "predictions.parquet": TABLE_BYTES,
    "table.csv": RECORDS_BYTES,
    "table.md": RECORDS_BYTES,
}
"""The files that a pack may hold, and no other: their names are where they are extracted to. With
the bytes of each at most, uncompressed."""

SWELLING = 10
"""How many times its size in the pack a Parquet file may have, which is compressed by itself."""

DIRECTORY_BYTES = 2**16
"""Bytes at most that follow the files of a pack and say what they are."""

_STAMP = (1980, 1, 1, 0, 0, 0)  # the first that ZIP knows: equal runs give equal packs
_CHUNK = 2**20

_END, _END_MARK, _COMMENT = struct.Struct("<4s4H2LH"), b"PK\5\6", 2**16
"""The end of a ZIP archive: format, first bytes, and bytes of a comment that may follow."""

_LOCATOR = 20
"""Bytes before it where archives beyond 4 GiB say that their end is somewhere else."""


def write_pack(run: Run, path: Path) -> None:
    """Write a run's files to a pack.

    Raises:
        UserError: if a file of the run is missing, or the pack cannot be written.
    """
    missing = [name for name in REQUIRED if not (run.directory / name).is_file()]
    if missing:
        raise UserError(f"the run in '{run.directory}' lacks its {', '.join(missing)}")
    try:
        with zipfile.ZipFile(path, "w") as archive:
            for name in LIMITS:
                if (run.directory / name).is_file():
                    entry = zipfile.ZipInfo(name, _STAMP)
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    source = (run.directory / name).open("rb")
                    with source, archive.open(entry, "w") as target:
                        shutil.copyfileobj(source, target, _CHUNK)
    except OSError as error:
        raise UserError(f"cannot write the pack '{path}': {error.strerror}") from error


def extract_pack(path: Path, folder: Path) -> None:
    """Extract a pack that came from elsewhere; nothing is written outside the folder.

    Args:
        path: the pack.
        folder: an empty folder.

    Raises:
        UserError: if the file cannot be read.
        InvalidData: if it is no pack, or holds anything that a pack must not.
    """
    if (path / RUN).is_file():
        raise UserError(f"'{path}' is a run's folder, not a pack; make one: oodbench submit {path}")
    try:
        _check_directory(path)
        with zipfile.ZipFile(path) as archive:
            _check_entries(archive, path)
            for entry in archive.infolist():
                _extract(archive, entry, folder / entry.filename)
    except BROKEN_ZIP as error:
        raise InvalidData(f"'{path}' is damaged, or no pack: {error}") from error
    except OSError as error:
        raise UserError(f"cannot read '{path}': {reason_of(error)}") from error


def _check_directory(path: Path) -> None:
    """Raise `InvalidData` if a pack lists more than it could hold, before the list is read."""
    require_size(path, sum(LIMITS.values()))
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - _END.size - _COMMENT, 0))
        tail = file.read()
    start = tail.rfind(_END_MARK)
    if start < 0 or len(tail) - start < _END.size:
        raise zipfile.BadZipFile("it has no list of files")
    is_64 = tail[max(start - _LOCATOR, 0) :].startswith(b"PK\6\7")  # would give another size
    if is_64 or _END.unpack_from(tail, start)[5] > DIRECTORY_BYTES:
        raise InvalidData(f"'{path}': its list of files has more than {DIRECTORY_BYTES:,} bytes")


def _check_entries(archive: zipfile.ZipFile, path: Path) -> None:
    """Raise `InvalidData` unless the names are those of a pack, each once, and sizes bounded."""
    names = archive.namelist()
    for name in names:
        if name not in LIMITS:
            raise InvalidData(f"'{path}' holds {name!r}, which is not a file of a run")
    if len(names) != len(set(names)):
        raise InvalidData(f"'{path}' holds a file twice")
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise InvalidData(f"'{path}' lacks {', '.join(missing)}")
    if any(entry.flag_bits & 1 for entry in archive.infolist()):
        raise InvalidData(f"'{path}' is encrypted")
    for entry in archive.infolist():
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InvalidData(f"'{path}': {entry.filename} is packed in another way than deflated")
        if entry.file_size > _limit(entry):
            raise InvalidData(
                f"'{path}': {entry.filename} has {entry.file_size:,} bytes, and "
                f"{_limit(entry):,} are the limit"
            )


def _limit(entry: zipfile.ZipInfo) -> int:
    """Return how many bytes a file of a pack may have."""
    most = LIMITS[entry.filename]
    if entry.filename.endswith(".parquet"):
        return min(most, SWELLING * entry.compress_size + _CHUNK)
    return most


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    """Extract one file, whose size the archive may have understated."""
    size, limit = 0, _limit(entry)
    with archive.open(entry) as source, target.open("xb") as file:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if size > limit:
                raise InvalidData(
                    f"'{archive.filename}': {entry.filename} has more than {limit:,} bytes"
                )
            file.write(chunk)
