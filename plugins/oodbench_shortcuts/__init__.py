"""Trivial statistics of images as detectors: sets that they separate prove little."""

from collections.abc import Sequence

from oodbench.contracts import Detector, hookimpl
from oodbench_shortcuts.detectors import Border, Brightness, CompressedSize, Contrast, Edges


@hookimpl
def oodbench_detectors() -> Sequence[type[Detector]]:
    """Return the detector classes."""
    return (Brightness, Contrast, Border, Edges, CompressedSize)
