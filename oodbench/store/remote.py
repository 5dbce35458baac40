"""A store in an object storage such as S3: its artifacts, under the names that a folder has.

The files of an artifact are uploaded first and its manifest last: the artifact is there once its
manifest is. What a machine made or read is kept in a folder of its own, the cache. A file is
fetched when it is read, and compared with its checksum.

Leases and checkpoints stay in the cache: runs of one machine share their work, and a training that
was interrupted goes on there. Runs of several machines may do the same job at once. If they upload
it at once, what a reader finds may be of both: it is withdrawn then, and made anew.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oodbench.errors import StoreError, UserError, describe
from oodbench.store.artifacts import MANIFEST, Artifact, Store, digest_file
from oodbench.store.paths import parsed

ATTEMPTS = 2
"""How often a file is fetched: a line may damage it on the way."""

_WRITABLE = "tmp/writable"
"""Is written to find out whether anything can be."""


@dataclass(frozen=True)
class RemoteArtifact(Artifact):
    """An artifact whose files are fetched when they are read.

    Attributes:
        fetch: brings a file of it, given the name, or raises `StoreError`.
    """

    fetch: Callable[[str], None]

    def _is_sound(self, name: str) -> bool:
        if name in self.files and not super()._is_sound(name):
            self.fetch(name)
        return super()._is_sound(name)


class RemoteStore(Store):
    """A store in an object storage, seen through a cache.

    Args:
        url: as in ``s3://bucket/prefix``.
        cache: a folder of this machine.

    Raises:
        UserError: if the storage cannot be reached or written to, or the folder not be written to.
    """

    def __init__(self, url: str, cache: Path) -> None:
        super().__init__(cache)
        self._url = url
        self._files, self._base = _file_system(url)
        try:
            self._files.pipe_file(f"{self._base}/{_WRITABLE}", b"")
        except Exception as error:  # libraries of storages raise anything
            reason = describe(error)
            raise UserError(f"the store '{self._url}' cannot be written to: {reason}") from error

    def __str__(self) -> str:
        """Return its URL."""
        return self._url

    @property
    def location(self) -> str:
        """Its URL, by which any machine opens it."""
        return self._url

    def find(self, stage: str, key: str) -> Artifact | None:
        """Return an artifact, or None if it is not there or its manifest is damaged.

        A file of it that is damaged is noticed when it is read.
        """
        try:
            directory = self._directory(stage, key)
        except StoreError:
            return None
        manifest = self._remote_manifest(stage, key)
        if manifest is None:
            super().discard(stage, key)  # what is in the cache alone is of no use to others
            return None
        self._keep(directory, manifest)
        found = self._read(stage, key)
        if found is None:
            self.discard(stage, key)
        return found

    def discard(self, stage: str, key: str) -> None:
        """Withdraw an artifact; nothing happens if it is not there.

        Its files stay until it is made anew: another machine may just be uploading them.

        Raises:
            StoreError: if it cannot be withdrawn, or stage or key is no name of an artifact.
        """
        with self._reaching(), suppress(FileNotFoundError):
            self._files.rm_file(f"{self._place(stage, key)}/{MANIFEST}")
        super().discard(stage, key)

    def _read(self, stage: str, key: str) -> Artifact | None:
        found = super()._read(stage, key)
        if found is None and (manifest := self._remote_manifest(stage, key)) is not None:
            self._keep(self._directory(stage, key), manifest)
            found = super()._read(stage, key)
        if found is None:
            return None
        fetch = functools.partial(self._fetch, stage, key, found)
        return RemoteArtifact(found.directory, found.meta, found.files, fetch)

    def _publish(self, directory: Path, stage: str, key: str) -> None:
        place = self._place(stage, key)
        with self._reaching():
            files = (path for path in directory.rglob("*") if path.is_file())
            for path in sorted(files, key=lambda path: (path == directory / MANIFEST, path)):
                if self._remote_manifest(stage, key) is not None:
                    return  # another machine was faster
                name = path.relative_to(directory).as_posix()
                self._files.put_file(str(path), f"{place}/{name}")
        super()._publish(directory, stage, key)

    def _fetch(self, stage: str, key: str, artifact: Artifact, name: str) -> None:
        """Bring a file; if it is missing or damaged, withdraw the artifact, to be made anew.

        What another machine has made anew since it was found is removed from the cache alone.
        """
        path = artifact.directory / name
        for _ in range(ATTEMPTS):
            with self._arriving() as part:
                with self._reaching(), suppress(FileNotFoundError):
                    self._files.get_file(f"{self._place(stage, key)}/{name}", str(part))
                if part.exists() and digest_file(part) == artifact.files[name]:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    part.replace(path)
                    return
        manifest = artifact.directory / MANIFEST
        if manifest.exists() and manifest.read_bytes() == self._remote_manifest(stage, key):
            self.discard(stage, key)
        else:
            super().discard(stage, key)

    def _place(self, stage: str, key: str) -> str:
        return f"{self._base}/{self._directory(stage, key).relative_to(self.root).as_posix()}"

    def _remote_manifest(self, stage: str, key: str) -> bytes | None:
        with self._reaching(), suppress(FileNotFoundError):
            content: bytes = self._files.cat_file(f"{self._place(stage, key)}/{MANIFEST}")
            return content
        return None

    def _keep(self, directory: Path, manifest: bytes) -> None:
        """Put a manifest into the cache, unless it is there."""
        path = directory / MANIFEST
        if path.exists() and path.read_bytes() == manifest:
            return
        with self._arriving() as part:
            part.write_bytes(manifest)
            directory.mkdir(parents=True, exist_ok=True)
            part.replace(path)

    @contextmanager
    def _arriving(self) -> Iterator[Path]:
        """Yield where to write a file before it is moved to its place."""
        part = self.root / "tmp" / f"fetched-{uuid.uuid4().hex[:8]}"
        try:
            yield part
        except OSError as error:
            raise StoreError(f"{self.root} cannot be written to: {error.strerror}") from error
        finally:
            part.unlink(missing_ok=True)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Have what a storage's library raises be a `StoreError`, but for what is not there."""
        try:
            yield
        except (FileNotFoundError, StoreError):
            raise
        except Exception as error:
            raise StoreError(f"{self._url} cannot be reached: {describe(error)}") from error


def _file_system(url: str) -> tuple[Any, str]:
    """Return what reads and writes at a URL, and the path there.

    Raises:
        UserError: if it is no such URL, or the library for it is not installed.
    """
    import fsspec

    address = parsed(url)
    if "@" in address.netloc or address.query:
        raise UserError("the URL of a store has no credentials: they come from the environment")
    if not address.netloc:
        raise UserError(f"'{url}' names no bucket; a store is at s3://bucket/prefix")
    protocol = address.scheme
    try:
        files, base = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        extra = "pip install 'oodbench[s3]'" if protocol == "s3" else str(error)
        raise UserError(f"a store at {protocol}:// needs a library: {extra}") from error
    except ValueError as error:
        raise UserError(f"'{url}' is no URL of a store, such as s3://bucket/prefix") from error
    return files, base.rstrip("/")
