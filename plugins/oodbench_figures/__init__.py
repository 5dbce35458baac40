"""Figures for any run: scores, ranks, confidences and features."""

from __future__ import annotations

from collections.abc import Sequence

from oodbench.contracts import Figure, hookimpl
from oodbench_figures.confidence import ConfidenceAgainstScore
from oodbench_figures.features import FeaturePlane
from oodbench_figures.ranks import RankDiagram
from oodbench_figures.scores import ScoreCurves


@hookimpl
def oodbench_figures() -> Sequence[type[Figure]]:
    """Return the figure classes."""
    return (ScoreCurves, ConfidenceAgainstScore, FeaturePlane, RankDiagram)
