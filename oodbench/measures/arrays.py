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


def checked_flags(correct: Flags, id_scores: Scores | None = None) -> Flags:
    """Return whether the classifier is right about each ID image, as bool.

    Args:
        correct: (n,) bool, or numbers that are 0 or 1.
        id_scores: (n,) scores of the same images, if there are any.

    Raises:
        ValueError: if there are not as many as ``id_scores``, they are not one-dimensional, or one
            is neither true nor false, such as a predicted class.
    """
    flags = np.asarray(correct)
    if flags.ndim != 1:
        raise ValueError(f"'correct' has shape {flags.shape}; expected one dimension")
    if id_scores is not None and len(flags) != len(id_scores):
        raise ValueError(
            f"there are {len(id_scores)} ID scores, but predictions for {len(flags)} images"
        )
    if flags.dtype != np.bool_:
        neither = ~np.isin(flags, (0, 1))
        if flags.dtype.kind not in "iufO" or neither.any():
            value = flags[neither][0] if neither.any() else flags[0]
            raise ValueError(
                f"'correct' holds {value!s}; it says whether the classifier is right about each "
                "image, as bool or 0 and 1: compare predictions with labels"
            )
    return np.asarray(flags, dtype=np.bool_)
