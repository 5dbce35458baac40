"""Classical outlier detectors of scikit-learn, on penultimate features."""

from collections.abc import Sequence

from oodbench.contracts import Detector, hookimpl
from oodbench_classical.deep_isolation_forest import DeepIsolationForest
from oodbench_classical.elliptic_envelope import EllipticEnvelope
from oodbench_classical.gaussian_mixture import GaussianMixture
from oodbench_classical.isolation_forest import IsolationForest
from oodbench_classical.local_outlier_factor import LocalOutlierFactor
from oodbench_classical.one_class_svm import OneClassSvm
from oodbench_classical.pca import PrincipalComponents


@hookimpl
def oodbench_detectors() -> Sequence[type[Detector]]:
    """Return the detector classes."""
    return (
        IsolationForest,
        DeepIsolationForest,
        OneClassSvm,
        LocalOutlierFactor,
        EllipticEnvelope,
        PrincipalComponents,
        GaussianMixture,
    )
