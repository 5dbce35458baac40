"""Bring detectors that work on a trained classifier, computed by pytorch-ood."""

from collections.abc import Sequence

from oodbench.contracts import Detector, hookimpl
from oodbench_posthoc.energy import Energy
from oodbench_posthoc.entropy import Entropy
from oodbench_posthoc.gen import GeneralisedEntropy
from oodbench_posthoc.knn import NearestNeighbours
from oodbench_posthoc.mahalanobis import Mahalanobis
from oodbench_posthoc.maxlogit import MaximumLogit
from oodbench_posthoc.msp import MaximumSoftmax
from oodbench_posthoc.rmd import RelativeMahalanobis
from oodbench_posthoc.she import HopfieldEnergy
from oodbench_posthoc.vim import VirtualLogitMatching


@hookimpl
def oodbench_detectors() -> Sequence[type[Detector]]:
    """Return the detector classes."""
    return (
        MaximumSoftmax,
        MaximumLogit,
        Energy,
        Entropy,
        GeneralisedEntropy,
        Mahalanobis,
        RelativeMahalanobis,
        NearestNeighbours,
        VirtualLogitMatching,
        HopfieldEnergy,
    )
