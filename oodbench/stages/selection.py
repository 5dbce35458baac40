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
