"""RMD++: the relative Mahalanobis distance of features of length 1."""

from __future__ import annotations

from oodbench.contracts import Info
from oodbench_posthoc.mahalanobis_pp import NormalisedMahalanobis, UnitLength
from oodbench_posthoc.rmd import RelativeMahalanobis


class NormalisedRelativeMahalanobis(UnitLength, RelativeMahalanobis):
    """Score as `RelativeMahalanobis` does, by features that are scaled to length 1."""

    info = Info(
        name="rmd-pp",
        title="RMD++",
        summary="Large relative Mahalanobis distance of the features, at length 1",
        paper=NormalisedMahalanobis.info.paper,
    )
