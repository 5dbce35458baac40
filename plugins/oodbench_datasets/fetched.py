"""The base of data sets that are downloaded: file names, downloads, checksums."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import pkgutil
import socket
import tarfile
import tempfile
import textwrap
import zipfile
import zlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from oodbench.contracts import Dataset, DataUnavailable, InvalidData

ARCHIVE_ERRORS = (EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error)
"""Errors raised by unpacking damaged archives, besides `OSError`."""

FETCH_ERRORS = (OSError, RuntimeError, InvalidData, http.client.HTTPException, *ARCHIVE_ERRORS)
"""Errors of a failed download: no network, a dead link, a wrong checksum (torchvision raises
`RuntimeError` for it), other content than the data."""

SILENCE_SECONDS = 30
"""Seconds that a server may stay silent; without a limit, a firewall could make it minutes."""


class FetchedDataset(Dataset):
    """A data set whose files are downloaded."""

    @abstractmethod
    def paths(self, split: str) -> Sequence[str]:
        """Return the paths of the files that ``load`` reads, relative to the data folder."""

    def files(self, root: Path, split: str) -> Sequence[Path]:
        """Name the files of `paths`."""
        return tuple(root / path for path in self.paths(split))

    @abstractmethod
    def fetch(self, folder: Path, split: str) -> None:
        """Download the files of a split, and of others if they come together, into an empty folder.

        Raises:
            FETCH_ERRORS: if they cannot be had, or are not those that were published.
        """

    def prepare(self, root: Path, split: str) -> None:
        """Download the files that are missing, verify them, then put them in place.

        They are downloaded into a folder of their own first, so that a download that is cut off
        leaves nothing behind that could be taken for the data, and files that are there stay as
        they are.

        Raises:
            DataUnavailable: if they cannot be had.
        """
        if all(path.is_file() for path in self.files(root, split)):
            return
        try:
            root.mkdir(parents=True, exist_ok=True)
            with (
                tempfile.TemporaryDirectory(prefix=f".{self.info.name}-", dir=root) as folder,
                _impatience(SILENCE_SECONDS),
            ):
                self.fetch(Path(folder), split)
                self._put_in_place(Path(folder), root)
        except FETCH_ERRORS as error:
            raise DataUnavailable(self._advice(root, split, error)) from error

    def _put_in_place(self, folder: Path, root: Path) -> None:
        for path in {path for split in self.splits for path in self.paths(split)}:
            target = root / path
            if (folder / path).is_file() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                (folder / path).replace(target)

    def _advice(self, root: Path, split: str, error: BaseException) -> str:
        name = self.info.name
        reason = textwrap.shorten(f"{type(error).__name__}: {error}", 200)
        files = " and ".join(self.paths(split))
        return (
            f"data set '{name}' cannot be downloaded ({reason}). Put the pack {name}-{split}.npz, "
            f"or {files}, into {root}; 'oodbench data prepare {name}' fetches them on a machine "
            "with network access."
        )


class LibraryDataset(FetchedDataset):
    """A data set that torchvision or pytorch-ood has a class for, which downloads and verifies it.

    Attributes:
        library: the class as ``"module:name"``; imported when needed, as that takes seconds.
    """

    library: ClassVar[str]

    @classmethod
    def library_class(cls) -> Any:
        """Import and return the class that `library` names."""
        return pkgutil.resolve_name(cls.library)

    def arguments(self, split: str) -> Mapping[str, Any]:
        """Return the keyword arguments by which the class is asked for a split."""
        return {"train": split == "train"}

    def fetch(self, folder: Path, split: str) -> None:
        """Let the library download and verify its files."""
        self.library_class()(str(folder), download=True, **self.arguments(split))


def verify(path: Path, md5: str, name: str) -> None:
    """Check a file against its published checksum.

    Args:
        path: the file.
        md5: its published MD5 digest, in hexadecimal.
        name: registry name of the data set, for the message.

    Raises:
        InvalidData: if the file is another, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    except OSError as error:
        raise InvalidData(f"{path}: cannot be read ({error.strerror})") from error
    if found.hexdigest() != md5:
        raise InvalidData(
            f"{path}: damaged, or not the published file (its MD5 is not {md5}); "
            f"delete it and run 'oodbench data prepare {name}'"
        )


@contextlib.contextmanager
def _impatience(seconds: float) -> Iterator[None]:
    """Limit how long connections may stay silent; torchvision's downloads set no limit."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
