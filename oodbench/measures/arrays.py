"""Checks of the arrays that measures are computed from."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

DETECTOR_RUN = ["detector", "classifier", "classifier_seed", "seed"]
"""The columns of the scores that name one fitted detector."""

Scores: TypeAlias = npt.NDArray[Any]
"""(n,) of any real dtype; larger = more likely OOD."""

Flags: TypeAlias = npt.NDArray[np.bool_]
"""(n,) bool."""

Labels: TypeAlias = npt.NDArray[np.int64]
"""(n,) int64, classes from 0."""


def checked_scores(scores: Scores, name: str) -> npt.NDArray[np.float64]:
    """Return scores as float64, which holds every float32 exactly.

    Args:
        scores: (n,) scores, n >= 1.
        name: what they are scores of, for the message of an error.

    Raises:
        ValueError: if there are none, they are not one-dimensional, or one is not finite.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"the {name} scores have shape {values.shape}; expected one dimension")
    if len(values) == 0:
        raise ValueError(f"there are no {name} scores; a measure needs at least one")
    unusable = int(np.sum(~np.isfinite(values)))
    if unusable:
        raise ValueError(f"{unusable} of the {len(values)} {name} scores are not finite")
    return values


def checked_flags(correct: Flags, id_scores: Scores) -> Flags:
    """Return whether the classifier is right about each ID image, as bool.

    Raises:
        ValueError: if there are not as many as ``id_scores``.
    """
    if len(correct) != len(id_scores):
        raise ValueError(
            f"there are {len(id_scores)} ID scores, but predictions for {len(correct)} images"
        )
    return np.asarray(correct, dtype=np.bool_)
