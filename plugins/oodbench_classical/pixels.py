"""The outlier detectors of scikit-learn on pixels, for where there is no classifier."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from oodbench.contracts import Batch, Info, Need, parameters
from oodbench_classical.adapter import Classical
from oodbench_classical.deep_isolation_forest import DeepIsolationForest
from oodbench_classical.elliptic_envelope import EllipticEnvelope
from oodbench_classical.gaussian_mixture import GaussianMixture
from oodbench_classical.isolation_forest import IsolationForest
from oodbench_classical.local_outlier_factor import LocalOutlierFactor
from oodbench_classical.one_class_svm import OneClassSvm
from oodbench_classical.pca import PrincipalComponents

if TYPE_CHECKING:
    from torch import Tensor


def _info(info: Info) -> Info:
    deviations = (*info.deviations, "On pixels, since there is no classifier.")
    return replace(info, deviations=deviations)


class OnPixels(Classical):
    """Reads pixels in the place of features."""

    needs = frozenset({Need.INPUTS})

    def read(self, batch: Batch) -> Tensor:
        """Return the pixels of each image: (n, c h w) float32 in [0, 1]."""
        return batch.inputs.flatten(1)


class _IsolationForest(OnPixels, IsolationForest):
    info = _info(IsolationForest.info)


class _DeepIsolationForest(OnPixels, DeepIsolationForest):
    info = _info(DeepIsolationForest.info)


class _OneClassSvm(OnPixels, OneClassSvm):
    info = _info(OneClassSvm.info)


class _LocalOutlierFactor(OnPixels, LocalOutlierFactor):
    info = _info(LocalOutlierFactor.info)


class _EllipticEnvelope(OnPixels, EllipticEnvelope):
    info = _info(EllipticEnvelope.info)


class _PrincipalComponents(OnPixels, PrincipalComponents):
    info = _info(PrincipalComponents.info)


class _GaussianMixture(OnPixels, GaussianMixture):
    info = _info(GaussianMixture.info)


_ON_PIXELS: dict[type[Classical], type[OnPixels]] = {
    IsolationForest: _IsolationForest,
    DeepIsolationForest: _DeepIsolationForest,
    OneClassSvm: _OneClassSvm,
    LocalOutlierFactor: _LocalOutlierFactor,
    EllipticEnvelope: _EllipticEnvelope,
    PrincipalComponents: _PrincipalComponents,
    GaussianMixture: _GaussianMixture,
}


def on_pixels(detector: Classical) -> OnPixels | None:
    """Return the same detector on pixels; None for one that is not of this plugin."""
    cls = _ON_PIXELS.get(type(detector))
    return None if cls is None else cls(**parameters(detector))
