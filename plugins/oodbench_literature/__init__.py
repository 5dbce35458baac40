"""Anomaly-detection systems of the literature that learn from ID images alone."""

from __future__ import annotations

from collections.abc import Sequence

from oodbench.contracts import Detector, hookimpl
from oodbench_literature.adgan import Adgan
from oodbench_literature.anogan import Anogan
from oodbench_literature.capsnet import CapsnetPp, CapsnetRe
from oodbench_literature.cavga import Cavga
from oodbench_literature.egbad import Egbad
from oodbench_literature.f_anogan import FAnogan
from oodbench_literature.gamma_vae_grad import GammaVaeGrad
from oodbench_literature.ganomaly import Ganomaly
from oodbench_literature.lsa import Lsa
from oodbench_literature.ocgan import Ocgan
from oodbench_literature.ulslm import Ulslm


@hookimpl
def oodbench_detectors() -> Sequence[type[Detector]]:
    """Return the detector classes."""
    return (
        Ganomaly,
        Lsa,
        GammaVaeGrad,
        Ocgan,
        Anogan,
        FAnogan,
        Egbad,
        Adgan,
        CapsnetPp,
        CapsnetRe,
        Cavga,
        Ulslm,
    )
