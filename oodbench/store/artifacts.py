"""The artifact store: artifacts under content keys, atomic, checksummed, shared by runs.

An artifact is a folder ``<store>/<stage>/<key>`` of files and a manifest ``artifact.json`` with
stage, key, the SHA-256 of each file, and of itself. It is written in ``<store>/tmp`` and renamed
when complete: an artifact is there whole or not at all, whenever the process dies and however many
write at once. One that was changed, renamed or exchanged for another does not agree with its
manifest: it counts as damaged.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oodbench.errors import StoreError, UserError
from oodbench.store.leases import file_time

MANIFEST = "artifact.json"
DAY_SECONDS = 24 * 3600

ABANDONED_DAYS = {"tmp": 2, "leases": 2, "checkpoints": 30}
"""Days after which unfinished work is left over from a run that was killed, by folder.

From a checkpoint a training goes on, perhaps after a holiday; nothing else is of use again.
"""

_DRAFT = re.compile(r"\w{1,16}-[0-9a-f]{8}")
_OF_JOB = re.compile(r"\w+-[0-9a-f]{64}(\.[0-9a-f]{8})?")

AGAIN = "run the same command again, which makes it anew"

GRAIN_SECONDS = 2.0
"""Time within which two changes of a file may bear the same time."""


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_unchanged(path: Path) -> str:
    """Return the SHA-256 of a file, which is read once for as long as it stays as it is."""
    state = path.stat()
    if time.time() - state.st_ctime < GRAIN_SECONDS:
        return digest_file(path)
    return _digest_known(path, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


@functools.lru_cache(maxsize=2**14)
def _digest_known(path: Path, *_: int) -> str:
    return digest_file(path)


def _digest_manifest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest).encode()).hexdigest()


@dataclass(frozen=True)
class Artifact:
    """A complete artifact.

    ``artifact / name`` is the path of a file, whose checksum is compared first: a job does not
    read what was changed since the run found it.

    Attributes:
        directory: where its files are; not to be written to.
        meta: what the job that made it noted down.
        files: the SHA-256 of its files, by name.
    """

    directory: Path
    meta: Mapping[str, Any]
    files: Mapping[str, str]

    def __truediv__(self, name: str) -> Path:
        path = self.directory / name
        if not self._is_sound(name):
            raise StoreError(f"{path} is missing or damaged; {AGAIN}")
        return path

    def is_sound(self) -> bool:
        """Return whether all files exist and are unchanged."""
        return all(map(self._is_sound, self.files))

    def _is_sound(self, name: str) -> bool:
        try:
            return _digest_unchanged(self.directory / name) == self.files[name]
        except (OSError, KeyError):
            return False


@dataclass
class Draft:
    """An artifact in the making: write files into `directory` and notes into `meta`.

    Unless `keep` is true in the end, it does not become an artifact.
    """

    directory: Path
    meta: dict[str, Any] = field(default_factory=dict)
    keep: bool = True

    def __truediv__(self, name: str) -> Path:
        return self.directory / name

    def show_life(self) -> None:
        """Mark it as still in use, so that no run removes it as abandoned."""
        os.utime(self.directory)


class Store:
    """A folder of artifacts.

    Args:
        root: the folder; made if it is not there.

    Raises:
        UserError: if the folder cannot be written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            (root / "tmp").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"the store '{root}' cannot be written to: {error.strerror}") from error
        if not os.access(root / "tmp", os.W_OK):
            raise UserError(f"the store '{root}' cannot be written to: permission denied")
        self._remove_abandoned()

    def __str__(self) -> str:
        """Return what a user calls it."""
        return str(self.root)

    @property
    def location(self) -> str:
        """What to open it by from anywhere, see `oodbench.store.opening.open_store`."""
        return str(self.root.resolve())

    def _remove_abandoned(self) -> None:
        now = file_time(self.root / "tmp")
        for folder, days in ABANDONED_DAYS.items():
            ours = _DRAFT if folder == "tmp" else _OF_JOB
            for path in self.root.glob(f"{folder}/*"):
                if not ours.fullmatch(path.name):
                    continue  # the folder may be a user's, who has folders of these names
                try:
                    if now - path.stat().st_mtime < days * DAY_SECONDS:
                        continue
                    if path.is_dir():
                        shutil.rmtree(path, ignore_errors=True)
                    else:
                        path.unlink()
                except OSError:
                    continue  # another run was faster, or another user made it

    def _directory(self, stage: str, key: str) -> Path:
        """Return the place of an artifact.

        Raises:
            StoreError: if stage or key could lead elsewhere; a run may name anything.
        """
        if not all(re.fullmatch(r"\w+", part) for part in (stage, key)):
            raise StoreError(f"'{stage}/{key}' is not a valid artifact name")
        return self.root / stage / key

    @property
    def leases(self) -> Path:
        """The folder of the leases of jobs."""
        return self.root / "leases"

    def checkpoint(self, stage: str, key: str) -> Path:
        """Return the file in which a job may keep its state until its artifact is complete."""
        return self.root / "checkpoints" / f"{stage}-{key}"

    def find(self, stage: str, key: str) -> Artifact | None:
        """Return an artifact, or None if it is not there or damaged.

        Every file is compared with its checksum. A damaged artifact is removed, so that it is made
        again.
        """
        try:
            directory = self._directory(stage, key)
        except StoreError:
            return None
        if not directory.exists():
            return None  # looked at first: another run may complete it while we look
        found = self._read(stage, key)
        if found is not None and found.is_sound():
            return found
        self.discard(stage, key)
        return None

    def is_sound(self, stage: str, key: str) -> bool:
        """Return whether an artifact is there and undamaged; unlike `find`, remove nothing."""
        try:
            found = self._read(stage, key)
        except StoreError:
            return False
        return found is not None and found.is_sound()

    def find_written(self, place: str) -> Artifact | None:
        """Return what `find` does, of the place ``stage/key`` as ``run.json`` writes it."""
        stage, _, key = place.partition("/")
        return self.find(stage, key)

    def open(self, stage: str, key: str) -> Artifact:
        """Return an artifact that exists; its files are verified when they are read.

        Raises:
            StoreError: if it is not there after all, or stage or key is no name of an artifact.
        """
        found = self._read(stage, key)
        if found is None:
            raise StoreError(f"{self._directory(stage, key)} is missing or damaged; {AGAIN}")
        return found

    def _read(self, stage: str, key: str) -> Artifact | None:
        """Return an artifact by its manifest; None if that is missing, damaged or of another one.

        Raises:
            StoreError: if stage or key is no name of an artifact.
        """
        directory = self._directory(stage, key)
        try:
            manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
            sound = manifest.pop("sha256") == _digest_manifest(manifest)
            found = Artifact(directory, dict(manifest["meta"]), dict(manifest["files"]))
            is_own = (manifest["stage"], manifest["key"]) == (stage, key)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        return found if sound and is_own else None

    @contextmanager
    def create(self, stage: str, key: str) -> Iterator[Draft]:
        """Make an artifact: the files written to the draft in the block appear at its end.

        If another process completed the same artifact in the meantime, that one stays. If the
        block raises, or the artifact is not to be kept, nothing appears.

        Raises:
            StoreError: if it cannot be written.
        """
        directory = self.root / "tmp" / f"{key[:16]}-{uuid.uuid4().hex[:8]}"
        try:
            directory.mkdir(parents=True)
        except OSError as error:
            raise StoreError(f"{directory} cannot be made: {error.strerror}") from error
        try:
            draft = Draft(directory)
            yield draft
            if draft.keep:
                self._complete(draft, stage, key)
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _complete(self, draft: Draft, stage: str, key: str) -> None:
        directory, final = draft.directory, self._directory(stage, key)
        try:
            files = {
                str(path.relative_to(directory)): digest_file(path)
                for path in sorted(directory.rglob("*"))
                if path.is_file()
            }
            manifest = {"stage": stage, "key": key, "files": files, "meta": draft.meta}
            manifest["sha256"] = _digest_manifest(manifest)
            (directory / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
            self._publish(directory, stage, key)
        except OSError as error:
            if not (final / MANIFEST).exists():  # else another run completed it first
                raise StoreError(f"{final} cannot be written: {error.strerror}") from error

    def _publish(self, directory: Path, stage: str, key: str) -> None:
        """Move a folder with its manifest to where the artifact belongs."""
        final = self._directory(stage, key)
        final.parent.mkdir(parents=True, exist_ok=True)
        directory.rename(final)

    def discard(self, stage: str, key: str) -> None:
        """Remove an artifact; nothing happens if it is not there.

        Raises:
            StoreError: if it cannot be removed, or stage or key is no name of an artifact.
        """
        directory = self._directory(stage, key)
        grave = self.root / "tmp" / f"removed-{uuid.uuid4().hex[:8]}"
        try:
            directory.rename(grave)
        except FileNotFoundError:
            return  # another run was faster
        except OSError as error:
            raise StoreError(f"{directory} cannot be removed: {error.strerror}") from error
        shutil.rmtree(grave, ignore_errors=True)
