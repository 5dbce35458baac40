"""The prepared images that each part of a split consists of."""

from __future__ import annotations

import numpy as np

from oodbench.images.geometry import select

CALIBRATION_STREAM = 1
"""Keeps the draw of calibration images apart from the draw of test images by the same seed."""


def positions_of(part: str, count: int, calibration: int, seed: int) -> np.ndarray:
    """Return the positions of a part of ``count`` prepared images.

    Args:
        part: ``"all"``; ``"calibration"``, the images that thresholds are taken from; or
            ``"rest"``, all but those.
        count: number of prepared images.
        calibration: number of calibration images.
        seed: draws the calibration images.

    Returns:
        (n,) int64, ascending.
    """
    if part == "all":
        return np.arange(count)
    chosen = select(count, calibration, seed + (CALIBRATION_STREAM << 32))
    if part == "calibration":
        return chosen
    return np.setdiff1d(np.arange(count), chosen)


BALANCED_STREAM = 2
"""Keeps the draw of images for a fit apart from others by the same seed."""


def balanced(labels: np.ndarray, at_most: int, seed: int) -> np.ndarray:
    """Draw images, as many of each class as of any other where there are so many.

    Args:
        labels: (n,) int64.
        at_most: number of images; all if there are not more.
        seed: draws them.

    Returns:
        (min(n, at_most),) int64, their positions, ascending.
    """
    generator = np.random.Generator(np.random.Philox(seed + (BALANCED_STREAM << 32)))
    order = generator.permutation(len(labels))
    rank = np.empty(len(labels), np.int64)  # the place of an image among those of its class
    for label in np.unique(labels):
        members = order[labels[order] == label]
        rank[members] = np.arange(len(members))
    chosen = order[np.argsort(rank[order], kind="stable")[:at_most]]
    return np.sort(chosen)
