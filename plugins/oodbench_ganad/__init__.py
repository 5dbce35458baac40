"""GANAD, the detector that learns from the images of a GAN whose seeds grow too large."""

from __future__ import annotations

from collections.abc import Sequence

from oodbench.contracts import Dataset, Detector, Figure, hookimpl
from oodbench_ganad.detector import Ganad
from oodbench_ganad.generated import GanadAnomalies, GanadFakes
from oodbench_ganad.variants import GanadJoint, GanadOe, GanadReal, WganCritic


@hookimpl
def oodbench_detectors() -> Sequence[type[Detector]]:
    """Return GANAD, its predecessor and its variants."""
    return (WganCritic, Ganad, GanadOe, GanadReal, GanadJoint)


@hookimpl
def oodbench_datasets() -> Sequence[type[Dataset]]:
    """Return the test sets that GANAD's generator makes."""
    return (GanadFakes, GanadAnomalies)


@hookimpl
def oodbench_figures() -> Sequence[type[Figure]]:
    """Return the figures of the paper that show the generator."""
    from oodbench_ganad.figures import FIGURES

    return FIGURES
