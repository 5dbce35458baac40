"""Write and open packs: a run's files in one ZIP archive, nothing in it that could be executed."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from oodbench.errors import InvalidData, UserError
from oodbench.images import BROKEN_ZIP
from oodbench.results import Run

REQUIRED = ("run.json", "records.csv", "scores.parquet", "predictions.parquet")
"""The files that a pack must hold."""

FILES = (*REQUIRED, "table.csv", "table.md")
"""The files that a pack may hold, and no other: their names are where they are extracted to."""

LIMIT = 2 * 2**30
"""Bytes that a pack may hold at most, uncompressed."""

_STAMP = (1980, 1, 1, 0, 0, 0)  # the first that ZIP knows: equal runs give equal packs
_CHUNK = 2**20


def write_pack(run: Run, path: Path) -> None:
    """Write a run's files to a pack.

    Raises:
        UserError: if a file of the run is missing, or the pack cannot be written.
    """
    missing = [name for name in REQUIRED if not (run.directory / name).is_file()]
    if missing:
        raise UserError(f"the run in '{run.directory}' has lost its {', '.join(missing)}")
    try:
        with zipfile.ZipFile(path, "w") as archive:
            for name in FILES:
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
    try:
        with zipfile.ZipFile(path) as archive:
            _check_entries(archive, path)
            left = LIMIT
            for entry in archive.infolist():
                left -= _extract(archive, entry, folder / entry.filename, left)
    except BROKEN_ZIP as error:
        raise InvalidData(f"'{path}' is damaged, or no pack: {error}") from error
    except OSError as error:
        raise UserError(f"cannot read '{path}': {error.strerror or error}") from error


def _check_entries(archive: zipfile.ZipFile, path: Path) -> None:
    """Raise `InvalidData` unless the names are those of a pack, each once, and sizes bounded."""
    names = archive.namelist()
    for name in names:
        if name not in FILES:
            raise InvalidData(f"'{path}' holds {name!r}, which is no file of a run")
    if len(names) != len(set(names)):
        raise InvalidData(f"'{path}' holds a file twice")
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise InvalidData(f"'{path}' lacks {', '.join(missing)}")
    if any(entry.flag_bits & 1 for entry in archive.infolist()):
        raise InvalidData(f"'{path}' is encrypted")
    if sum(entry.file_size for entry in archive.infolist()) > LIMIT:
        raise InvalidData(f"'{path}' holds more than {LIMIT:,} bytes")


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, left: int) -> int:
    """Extract one file and return its size, which the archive may have understated."""
    size = 0
    with archive.open(entry) as source, target.open("xb") as file:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if size > left:
                raise InvalidData(f"'{archive.filename}' holds more than {LIMIT:,} bytes")
            file.write(chunk)
    return size
