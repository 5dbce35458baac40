"""The peak memory of a job, and the end of a job that takes all that is left."""

from __future__ import annotations

import ctypes
import math
import sys
import threading
from pathlib import Path
from typing import Any, Self

from oodbench.hardware import free_memory

SAMPLE_SECONDS = 0.05
"""How often the memory of the process is looked at."""

MEMORY_SHARE = 0.9
"""What a job may take of the memory that is free when it begins."""


class TooMuchMemoryError(MemoryError):
    """A job that takes nearly all of the memory that was free; others need some as well."""

    def __str__(self) -> str:
        return f"took more than {MEMORY_SHARE:.0%} of the memory that was free"


class PeakMemory:
    """Measures, in a ``with`` block, the most memory that this process has, and limits it.

    The resident memory is sampled, and compared with the system's own high-water mark where that
    rose in the block. The mark is left as it is, since others read it; it cannot tell what one of
    several jobs in a process needed.

    Raises:
        TooMuchMemoryError: in the block, if it takes more than `MEMORY_SHARE` of what was free.

    Args:
        device: ``"cuda"`` to measure the memory of the GPU as well.

    Attributes:
        figures: after the block, bytes as ``peak_memory``, libraries included, and on a GPU those
            that torch allocated as ``peak_gpu_memory``; what cannot be measured here is left out.
    """

    def __init__(self, device: str) -> None:
        self.figures: dict[str, int] = {}
        self._gpu = device == "cuda"
        self._sampled = 0
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        if self._gpu:
            _cuda().reset_peak_memory_stats()
        self._before = _high_water()
        self._sampled = resident()
        self._limit = MEMORY_SHARE * (free_memory() + occupied())
        self._user = threading.get_ident()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        after = _high_water()
        peak = after if after > self._before else max(self._sampled, resident())
        if peak:
            self.figures["peak_memory"] = peak
        if self._gpu:
            self.figures["peak_gpu_memory"] = _cuda().max_memory_allocated()

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self._sampled = max(self._sampled, resident())
            if occupied() > self._limit:
                error = ctypes.py_object(TooMuchMemoryError)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._user), error)
                self._limit = math.inf


def resident() -> int:
    """Return the bytes of this process in memory; 0 where the system does not report it."""
    return _pages("self")[0]


def occupied(process: int | None = None) -> int:
    """Return the bytes of a process, by default this one, that are in memory and in no file.

    They are 0 where the system does not say, and once the process is gone.
    """
    all_pages, of_files = _pages(process or "self")
    return all_pages - of_files


def _pages(process: int | str) -> tuple[int, int]:
    """Return the bytes of a process that are in memory, and those of them that files hold too."""
    try:
        import resource

        sizes = (Path("/proc") / str(process) / "statm").read_text(encoding="ascii").split()
        size = resource.getpagesize()
        return int(sizes[1]) * size, int(sizes[2]) * size
    except (ImportError, OSError, IndexError):
        return 0, 0


def _high_water() -> int:
    """Return the peak bytes in memory; 0 where the system does not report it."""
    try:
        import resource
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _cuda() -> Any:
    import torch

    return torch.cuda
