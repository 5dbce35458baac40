"""What detectors cost in use, for the shares of OOD inputs and the costs that a page offers."""

from __future__ import annotations

import numpy as np

from oodbench.measures.arrays import Flags, Scores
from oodbench.measures.paired import Floats
from oodbench.measures.use import Use, outcomes
from oodbench.report.use import without_detector

SHARES = (0.001, 0.01, 0.1, 0.5)
"""Shares of OOD inputs."""

COSTS = (0.1, 1.0, 10.0, 100.0)
"""Costs of an accepted OOD input and of an accepted error, in rejected good inputs."""

CHOICES = tuple(Use(share, cost, cost) for cost in COSTS for share in SHARES)

DEFAULT = CHOICES.index(Use(0.1, 10.0, 10.0))
"""The choice that the page shows at first."""

_WEIGHTS = np.stack([use.weights for use in CHOICES], axis=1)


def smallest_risks(known: Scores, unknown: list[Scores], correct: Flags) -> Floats:
    """Return what an input costs with a detector, at its best threshold for each of `CHOICES`.

    Args:
        known: (n,) scores of the ID images.
        unknown: for each OOD set the (m,) scores of its images.
        correct: (n,) whether the classifier is right about each ID image.
    """
    risks: Floats = (outcomes(known, unknown, correct).useful().shares @ _WEIGHTS).min(axis=0)
    return risks


def risks_without(accuracy: float) -> Floats:
    """Return what an input costs if all are accepted, or none, whichever is less."""
    risks: Floats = (np.stack([*without_detector(accuracy).values()]) @ _WEIGHTS).min(axis=0)
    return risks


def prices(risks: Floats | None) -> list[str]:
    """Return what 100 inputs cost for each of `CHOICES`, as text; nothing if it is not known."""
    return [] if risks is None else [f"{100 * risk:.2f}" for risk in risks]
