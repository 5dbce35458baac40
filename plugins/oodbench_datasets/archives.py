"""Data sets published as archives of pictures, read without unpacking them."""

from __future__ import annotations

import io
import tarfile
import zipfile
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from oodbench.contracts import ImageSet, InvalidData
from oodbench_datasets.fetched import ARCHIVE_ERRORS, FetchedDataset, verify

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset({".jpeg", ".jpg", ".png"})
"""Suffixes of the members that count as pictures."""


class ArchiveDataset(FetchedDataset):
    """Pictures in one archive, read as it was published.

    The archive is what `files` names and what is read, not the thousands of files that torchvision
    and pytorch-ood unpack from it: its checksum covers every picture, one file is fingerprinted
    instead of 100,000, nothing is written to disk on the word of an archive, and the order does
    not depend on the file system. Their classes still say where it is and what its checksum is.

    Attributes:
        archive: path of the archive, relative to the data folder.
        folder: the folder in the archive that holds the pictures.
    """

    splits: tuple[str, ...] = ("test",)
    archive: ClassVar[str]
    folder: ClassVar[str]

    def paths(self, split: str) -> Sequence[str]:
        """Return the path of the archive."""
        return (self.archive,)

    @abstractmethod
    def published(self) -> tuple[str, str | None]:
        """Return the URL and the MD5 digest of the archive; None if none was published."""

    def decode(self, picture: Image) -> np.ndarray:
        """Return a picture as a writable (H, W) or (H, W, 3) uint8 array of the set's shape."""
        return np.array(picture.convert("L" if self.shape[0] == 1 else "RGB"))

    def labels(self, archive: Path, pictures: Sequence[PurePosixPath]) -> np.ndarray:
        """Return the classes of pictures, by default the number of the folder that each lies in.

        Args:
            archive: the archive.
            pictures: paths within `folder`, ascending.

        Returns:
            (N,) int64.
        """
        folders = sorted({path.parent for path in pictures})
        numbers = {folder: number for number, folder in enumerate(folders)}
        return np.array([numbers[path.parent] for path in pictures], dtype=np.int64)

    def fetch(self, folder: Path, split: str) -> None:
        """Download the archive and verify its checksum."""
        from torchvision.datasets.utils import download_url

        url, md5 = self.published()
        target = folder / self.archive
        download_url(url, str(target.parent), target.name, md5)

    def load(self, root: Path, split: str) -> ImageSet:
        """Read the pictures in the order of their paths.

        Raises:
            InvalidData: if the archive is not the published one, or damaged, or holds a picture
                of another size.
        """
        archive = root / self.archive
        _, md5 = self.published()
        if md5 is not None:
            verify(archive, md5, self.info.name)
        pictures = read_pictures(archive, self.folder, self.decode)
        paths = sorted(pictures)
        for path in paths:
            if (size := pictures[path].shape[:2]) != self.shape[1:]:
                raise InvalidData(f"{archive}: its picture {path} is {size[1]}x{size[0]} pixels")
        return ImageSet(np.stack([pictures[path] for path in paths]), self.labels(archive, paths))


def read_pictures(
    archive: Path, folder: str, decode: Callable[[Image], np.ndarray]
) -> dict[PurePosixPath, np.ndarray]:
    """Return all pictures below a folder of a .zip or .tar.gz archive.

    Args:
        archive: the archive.
        folder: the folder in it.
        decode: makes an array of a picture.

    Returns:
        Arrays by path within the folder. Pictures that cannot be decoded are left out.

    Raises:
        InvalidData: if the archive is damaged, or has no picture there.
    """
    from PIL import Image

    def wanted(path: PurePosixPath) -> bool:
        hidden = path.name.startswith(".")  # left behind by a file manager
        return path.is_relative_to(folder) and path.suffix.lower() in SUFFIXES and not hidden

    pictures = {}
    try:
        for path, content in _members(archive, wanted):
            try:
                with Image.open(io.BytesIO(content)) as picture:
                    pictures[path.relative_to(folder)] = decode(picture)
            except (OSError, SyntaxError):  # Pillow raises SyntaxError for some broken PNG files
                continue
    except (OSError, *ARCHIVE_ERRORS) as error:
        raise InvalidData(f"{archive}: unreadable or truncated ({error})") from error
    if not pictures:
        raise InvalidData(f"{archive}: has no pictures in its folder '{folder}'")
    return pictures


def read_text(archive: Path, member: str) -> str:
    """Read a text file out of a .zip archive that has been verified."""
    with zipfile.ZipFile(archive) as file:
        return file.read(member).decode()


def _members(
    archive: Path, wanted: Callable[[PurePosixPath], bool]
) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yield path and content of the wanted files, in the order of the archive."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as file:
            for name in file.namelist():
                if wanted(path := PurePosixPath(name)):
                    yield path, file.read(name)
    else:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                if wanted(path := PurePosixPath(member.name)):
                    content = tar.extractfile(member)
                    yield path, content.read() if content else b""
