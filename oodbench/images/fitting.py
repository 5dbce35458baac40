"""Images fitted to a geometry and written to a file part by part, by several processes if asked.

However many images there are, a process holds one part of them in memory.
"""

from __future__ import annotations

import math
import os
import pickle
import queue
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oodbench.images.duplicates import hash_images
from oodbench.images.geometry import to_geometry
from oodbench.images.npy import ArrayFile

PART_BYTES = 2**23
PART_IMAGES = 256
"""Bytes and images of a part at most."""

WORTHWHILE = 1_000
"""Images to decode from which on more than one process is started, which takes 0.2 s each."""

Part = tuple[int, np.ndarray]
"""Where the images of a part begin in the file, and their positions in the set."""

_START = """
import sys
sys.path[:] = {path!r}
from oodbench.images.fitting import main
main()
"""


def write_fitted(
    images: np.ndarray,
    positions: np.ndarray,
    shape: tuple[int, int, int],
    path: Path,
    *,
    cpus: int = 1,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> np.ndarray:
    """Write some images to an .npy file (n, c, h, w) uint8, fitted to a geometry.

    Args:
        images: as of `ImageSet`.
        positions: (n,) int64, of the images to write, in their order.
        shape: (c, h, w) to fit to.
        path: of the file.
        cpus: processes that decode images at most; arrays are written by this process alone.
        progress: called as ``progress(done, total)``.

    Returns:
        What tells the written images apart, (n,) uint64 (`hash_images`).
    """
    count = len(positions)
    fitting = _Fitting(images, shape, ArrayFile.create(path, np.dtype(np.uint8), (count, *shape)))
    step = min(max(PART_BYTES // math.prod(shape), 1), PART_IMAGES)
    parts = [(first, positions[first : first + step]) for first in range(0, count, step)]
    alone = count < WORTHWHILE or isinstance(images, np.ndarray)
    hashes = np.empty(count, dtype=np.uint64)
    with _fitted(fitting, parts, 1 if alone else cpus) as found:
        for (first, chosen), own in zip(parts, found, strict=True):
            hashes[first : first + len(chosen)] = own
            progress(first + len(chosen), count)
    return hashes


@dataclass(frozen=True)
class _Fitting:
    """What is done with each part.

    Attributes:
        images, shape: as of `write_fitted`.
        file: the file to write.
    """

    images: np.ndarray
    shape: tuple[int, int, int]
    file: ArrayFile

    def __call__(self, part: Part) -> np.ndarray:
        """Write a part; return its hashes."""
        first, chosen = part
        fitted = to_geometry(self.images[chosen], self.shape)
        self.file.write(first, fitted)
        return hash_images(fitted)


@contextmanager
def _fitted(
    fitting: _Fitting, parts: Sequence[Part], processes: int
) -> Iterator[Iterable[np.ndarray]]:
    """Give the hashes of each part, in order; each of several processes has one part at a time.

    What a process cannot do, because of a damaged picture or images that another process does not
    know, is done in this one, so that its error is raised here.
    """
    content = _pickled(fitting) if processes > 1 else b""
    if not content:
        yield map(fitting, parts)
        return
    idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()

    def send(part: Part) -> np.ndarray | None:
        process = idle.get()
        try:
            return process.run(part)
        finally:
            idle.put(process)

    with ExitStack() as stack:
        for _ in range(min(processes, len(parts))):
            idle.put(stack.enter_context(closing(_Process(content))))
        threads = ThreadPoolExecutor(processes)
        stack.callback(threads.shutdown, cancel_futures=True)
        found = zip(parts, threads.map(send, parts), strict=True)
        yield (fitting(part) if own is None else own for part, own in found)


def _pickled(fitting: _Fitting) -> bytes:
    """Return the work as bytes; none where a third-party class of images cannot be pickled."""
    with suppress(Exception):
        return pickle.dumps(fitting)
    return b""


class _Process:
    """Another process that writes parts, until it is closed; it ends with this one too.

    Args:
        content: the work, pickled.
    """

    def __init__(self, content: bytes) -> None:
        self._process: Any = subprocess.Popen(  # noqa: S603 (this interpreter)
            [sys.executable, "-c", _START.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._send(content)

    def close(self) -> None:
        """Let the process end, and wait for it."""
        self._process.communicate()

    def run(self, part: Part) -> np.ndarray | None:
        """Return the hashes of a part once it is written; None if the process cannot do it."""
        self._send(pickle.dumps(part))
        with suppress(EOFError, pickle.UnpicklingError):  # it has ended
            found: np.ndarray | None = pickle.load(self._process.stdout)  # noqa: S301 (our child)
            return found
        return None

    def _send(self, content: bytes) -> None:
        with suppress(OSError):  # it has ended
            self._process.stdin.write(content)
            self._process.stdin.flush()


def main() -> None:
    """Write the parts that the parent sends, until it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles what the terminal sends
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what decoders print is no message
    with suppress(Exception):  # the class of the images is not importable, or the parent is gone
        fitting = pickle.load(source)  # noqa: S301 (from our parent)
        while True:
            part = pickle.load(source)  # noqa: S301 (from our parent)
            pickle.dump(_attempt(fitting, part), sink)
            sink.flush()


def _attempt(fitting: Any, part: Part) -> np.ndarray | None:
    try:
        found: np.ndarray = fitting(part)
    except Exception:  # of whatever kind, it is raised again in the parent
        return None
    return found
