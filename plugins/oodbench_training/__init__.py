"""Ways to train classifiers for OOD detection, and deep SVDD, which needs no classifier."""

from oodbench.contracts import Classifier, Detector, hookimpl
from oodbench_training.deep_svdd import DeepSvdd
from oodbench_training.energy_bounded import EnergyBounded
from oodbench_training.logit_norm import LogitNorm
from oodbench_training.outlier_exposure import OutlierExposure


@hookimpl
def oodbench_classifiers() -> list[type[Classifier]]:
    """Return the classifiers of this plugin."""
    return [EnergyBounded, LogitNorm, OutlierExposure]


@hookimpl
def oodbench_detectors() -> list[type[Detector]]:
    """Return the detectors of this plugin."""
    return [DeepSvdd]
