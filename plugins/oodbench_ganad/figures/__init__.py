"""The figures of GANAD's paper that show its generator."""

from __future__ import annotations

from oodbench.contracts import Figure
from oodbench_ganad.figures.foreign import ForeignFakes
from oodbench_ganad.figures.growth import GrowingSeeds
from oodbench_ganad.figures.norms import NormDistribution
from oodbench_ganad.figures.outputs import OutputsByNorm
from oodbench_ganad.figures.paths import FeaturePaths
from oodbench_ganad.figures.samples import Samples

FIGURES: tuple[type[Figure], ...] = (
    NormDistribution,
    GrowingSeeds,
    OutputsByNorm,
    FeaturePaths,
    ForeignFakes,
    Samples,
)
