"""Bring detectors that work on a trained classifier, computed by pytorch-ood."""

from collections.abc import Sequence

from oodbench.contracts import Detector, hookimpl
from oodbench_posthoc.energy import Energy
from oodbench_posthoc.maxlogit import MaximumLogit
from oodbench_posthoc.msp import MaximumSoftmax


@hookimpl
def oodbench_detectors() -> Sequence[type[Detector]]:
    """Return the detector classes."""
    return (MaximumSoftmax, MaximumLogit, Energy)
