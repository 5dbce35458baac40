"""Data sets in the format of WebDataset: tar files of pictures, each beside a file of its label.

The files of an image have one name up to the first dot of its last part, as in ``n01/17.jpg`` and
``n01/17.cls``. A label is a whole number or a text. Tar files are read in place: nothing is
extracted, so compressed ones are refused.
"""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oodbench.errors import InvalidData, reason_of
from oodbench.images.parquet import Table, number_labels
from oodbench.images.pictures import SUFFIXES, Encoded

SUFFIX = ".tar"
LABEL = "cls"
LABEL_BYTES = 1000
"""Bytes of a label at most."""


@dataclass(frozen=True)
class Members:
    """The pictures in some tar files, in their order; each is read when it is asked for.

    Attributes:
        files: the tar files.
        names: what each picture is called.
        places: (n, 3) int64: the position of its file, and where its bytes begin and how many.
    """

    files: Sequence[Path]
    names: Sequence[str]
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, position: int) -> Encoded:
        """Return a picture.

        Raises:
            InvalidData: if its file cannot be read.
        """
        number, start, size = map(int, self.places[position])
        path = self.files[number]
        try:
            with path.open("rb") as file:
                file.seek(start)
                content = file.read(size)
        except OSError as error:
            raise InvalidData(f"{path}: cannot be read: {reason_of(error)}") from error
        return Encoded(f"{path}, {self.names[position]}", content)


def open_shards(files: Sequence[Path]) -> Table:
    """Return the pictures and labels in some tar files.

    Raises:
        InvalidData: if one cannot be read, is compressed, or has two pictures of one name.
    """
    names: list[str] = []
    places: list[tuple[int, int, int]] = []
    labels: list[Any] = []
    for number, path in enumerate(files):
        pictures: dict[str, tuple[str, int, int]] = {}
        told: dict[str, str] = {}
        try:
            with tarfile.open(path, "r:") as archive:
                for member in archive:
                    folder, slash, name = member.name.rpartition("/")
                    stem, _, extension = name.partition(".")
                    key = folder + slash + stem
                    if not member.isreg() or member.issparse():
                        continue
                    if extension.lower() == LABEL:
                        told[key] = _read_label(archive, member, path)
                    elif f".{extension.rpartition('.')[2].lower()}" in SUFFIXES:
                        if key in pictures:
                            raise InvalidData(f"{path}: two pictures are called {key}")
                        pictures[key] = (member.name, member.offset_data, member.size)
        except InvalidData:
            raise
        except Exception as error:  # the reader raises anything on damaged files
            raise InvalidData(f"{path}: no readable tar file: {reason_of(error)}") from error
        for key, (name, start, size) in pictures.items():
            if start + size > path.stat().st_size:
                raise InvalidData(f"{path}: ends in the middle of {name}")
            names.append(name)
            places.append((number, start, size))
            labels.append(told.get(key))
    members = Members(files, names, np.array(places, dtype=np.int64).reshape(-1, 3))
    if not any(label is not None for label in labels):
        return Table(members, np.full(len(members), -1), np.arange(0), [])
    return Table(members, *number_labels(_as_numbers(labels), None, files[0]))


def _read_label(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> str:
    if member.size > LABEL_BYTES:
        raise InvalidData(f"{path}: {member.name} is too long for a label: {member.size:,} bytes")
    file = archive.extractfile(member)
    content = file.read() if file else b""
    try:
        return content.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise InvalidData(f"{path}: {member.name} is no text") from error


def _as_numbers(labels: list[Any]) -> list[Any]:
    """Return labels as whole numbers if all are."""
    if all(label is None or label.isdecimal() for label in labels):
        return [None if label is None else int(label) for label in labels]
    return labels
