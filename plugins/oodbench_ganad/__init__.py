"""Bring GANAD, the detector that learns from images of a GAN whose seeds grow too large."""

from __future__ import annotations

from collections.abc import Sequence

from oodbench.contracts import Detector, Figure, hookimpl
from oodbench_ganad.detector import Ganad


@hookimpl
def oodbench_detectors() -> Sequence[type[Detector]]:
    """Return GANAD."""
    return (Ganad,)


@hookimpl
def oodbench_figures() -> Sequence[type[Figure]]:
    """Return the figures of the paper that show the generator."""
    from oodbench_ganad.figures import FIGURES

    return FIGURES
