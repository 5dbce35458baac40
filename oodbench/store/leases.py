"""Leases: of several processes that want the same work, one does it and the others wait.

A lease is a file that names the process holding it, and whose modification time shows that the
process lives. It is free again when the process releases it, has ended, or has shown no life for
`EXPIRY_SECONDS`. Leases save work and protect nothing: where they fail, or where the file system
has none, two processes do the same.
"""

from __future__ import annotations

import functools
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

BEAT_SECONDS = 5.0
"""Time between two signs of life."""

EXPIRY_SECONDS = 30.0
"""Time without a sign of life after which a lease is free."""

POLL_SECONDS = 0.2
"""Time between two looks at what others hold."""


class Leases:
    """The leases that this process holds in a folder, in a ``with`` block.

    Args:
        folder: where leases are; made when the first one is taken.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._content = _describe_process()
        self._held: set[Path] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._show_life, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        for path in tuple(self._held):
            self.release(path.name)

    def take(self, name: str) -> bool:
        """Return whether this process may do the work called ``name``; if not, another does it.

        It may as well where leases cannot be written.
        """
        path = self._folder / name
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return self._write(path) or (self._removed_abandoned(path) and self._write(path))
        except OSError:
            return True

    def release(self, name: str) -> None:
        """Let others have a lease; nothing happens if this process does not hold it."""
        path = self._folder / name
        if path in self._held:
            self._held.remove(path)
            with suppress(OSError):  # another process took it while this one was suspended
                if path.read_bytes() == self._content:
                    path.unlink()

    def _write(self, path: Path) -> bool:
        """Return whether the lease could be made, which one process alone can.

        Raises:
            OSError: if files cannot be made here.
        """
        try:
            file = path.open("xb")
        except FileExistsError:
            return False
        self._held.add(path)
        with suppress(OSError), file:  # an empty lease is kept by its signs of life alone
            file.write(self._content)
        return True

    def _removed_abandoned(self, path: Path) -> bool:
        """Return whether a lease was found abandoned and is gone now.

        Raises:
            OSError: if it cannot be read or removed.
        """
        grave = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}")
        try:
            with path.open("rb") as file:  # opened first, so that NFS asks the server for the time
                content, seen = file.read(), os.fstat(file.fileno()).st_mtime
            if file_time(self._folder) - seen < EXPIRY_SECONDS and not _has_ended(content):
                return False
            path.rename(grave)
            if grave.read_bytes() != content:  # another process took it between the last two lines
                grave.rename(path)
                return False
            grave.unlink()
        except FileNotFoundError:
            pass  # released, or removed by another process
        return True

    def _show_life(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            for path in tuple(self._held):
                with suppress(OSError):
                    os.utime(path)


def is_held(path: Path) -> bool:
    """Return whether a process that shows life holds a lease."""
    try:
        content, seen = path.read_bytes(), path.stat().st_mtime
        return file_time(path.parent) - seen < EXPIRY_SECONDS and not _has_ended(content)
    except OSError:
        return False  # released


def file_time(folder: Path) -> float:
    """Return the time now by the clock of a folder's file system: those of its hosts may differ.

    Raises:
        OSError: if the folder cannot be written to.
    """
    os.utime(folder)
    return folder.stat().st_mtime


@contextmanager
def leased(folder: Path, name: str) -> Iterator[None]:
    """Hold a lease for as long as the block takes, waiting for it if need be.

    Args:
        folder: where leases are.
        name: of the work.
    """
    with Leases(folder) as leases:
        while not leases.take(name):
            time.sleep(POLL_SECONDS)
        yield


def _describe_process() -> bytes:
    """Return what a lease says of this process if it holds it."""
    process = os.getpid()
    started = _started(process)
    return json.dumps({"host": _host(), "process": process, "started": started}).encode()


@functools.cache
def _host() -> str | None:
    """Return what tells the machine, since it was started, and the container; None if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def _started(process: int) -> str | None:
    """Return when a process of this host was started, in the kernel's unit; None if it has ended.

    A process that was killed and that its parent did not take note of yet has ended.
    """
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *fields = text.rpartition(")")[2].split()
    return None if state in "XZ" else fields[18]


def _has_ended(content: bytes) -> bool:
    """Return whether a lease names a process of this host that is no longer there.

    Its number may have gone to another process, which was started later.
    """
    try:
        holder = json.loads(content)
        host, process, started = holder["host"], int(holder["process"]), holder["started"]
    except (ValueError, KeyError, TypeError):
        return False  # not written to the end yet
    return host is not None and host == _host() and started != _started(process)
