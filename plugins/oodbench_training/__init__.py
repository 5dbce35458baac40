"""Ways to train classifiers for OOD detection, and deep SVDD, which needs no classifier."""

from oodbench.contracts import Classifier, Dataset, Detector, hookimpl
from oodbench_training.cider import Cider
from oodbench_training.deep_svdd import DeepSvdd
from oodbench_training.energy_bounded import EnergyBounded
from oodbench_training.fractals import Fractals
from oodbench_training.logit_norm import LogitNorm
from oodbench_training.outlier_exposure import OutlierExposure
from oodbench_training.pixmix import PixMix
from oodbench_training.rotpred import Rotation, RotPred
from oodbench_training.t2fnorm import T2FNorm
from oodbench_training.vos import VirtualOutliers


@hookimpl
def oodbench_classifiers() -> list[type[Classifier]]:
    """Return the classifiers of this plugin."""
    return [
        Cider,
        EnergyBounded,
        LogitNorm,
        OutlierExposure,
        PixMix,
        RotPred,
        T2FNorm,
        VirtualOutliers,
    ]


@hookimpl
def oodbench_datasets() -> list[type[Dataset]]:
    """Return the data sets of this plugin."""
    return [Fractals]


@hookimpl
def oodbench_detectors() -> list[type[Detector]]:
    """Return the detectors of this plugin."""
    return [DeepSvdd, Rotation]
