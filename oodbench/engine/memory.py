"""Measure how much memory a job needs at most."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any, Self

SAMPLE_SECONDS = 0.05
"""How often the memory of the process is looked at."""

_STATM = Path("/proc/self/statm")


class PeakMemory:
    """Measures, in a ``with`` block, the most memory that this process has.

    The resident memory is sampled, and compared with the system's own high-water mark where that
    rose in the block. The mark is left as it is, since others read it; it cannot tell what one of
    several jobs in a process needed.

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
        self._sampled = _resident()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        after = _high_water()
        peak = after if after > self._before else max(self._sampled, _resident())
        if peak:
            self.figures["peak_memory"] = peak
        if self._gpu:
            self.figures["peak_gpu_memory"] = _cuda().max_memory_allocated()

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self._sampled = max(self._sampled, _resident())


def _resident() -> int:
    """Return the bytes of this process that are in memory now; 0 where the system does not say."""
    try:
        import resource

        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    except (ImportError, OSError):
        return 0


def _high_water() -> int:
    """Return the most bytes that were ever in memory; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _cuda() -> Any:
    import torch

    return torch.cuda
