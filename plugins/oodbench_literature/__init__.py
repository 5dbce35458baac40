"""Anomaly-detection systems of the literature that learn from ID images alone."""

from __future__ import annotations

from collections.abc import Sequence

from oodbench.contracts import Detector, hookimpl
from oodbench_literature.gamma_vae_grad import GammaVaeGrad
from oodbench_literature.ganomaly import Ganomaly
from oodbench_literature.lsa import Lsa


@hookimpl
def oodbench_detectors() -> Sequence[type[Detector]]:
    """Return the detector classes."""
    return (Ganomaly, Lsa, GammaVaeGrad)
