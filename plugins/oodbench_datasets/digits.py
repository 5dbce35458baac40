"""scikit-learn's digits, and the same digits rotated."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from oodbench.contracts import Dataset, ImageSet, Info, InvalidParameter, Paper


class Digits(Dataset):
    """The 1,797 handwritten digits that come with scikit-learn, 8x8 pixels; no download.

    scikit-learn has no split of them. Here every third image of each class, in its order, is a
    test image (596), the others are for training (1,201); nothing is shuffled. The 17 grey levels
    are stretched to 0..255, ink 255 on 0.
    """

    info = Info(
        name="digits",
        title="Digits",
        summary="Handwritten digits of scikit-learn, 8x8, grey; no download.",
        paper=Paper(
            title="Optical Recognition of Handwritten Digits",
            authors="Alpaydin and Kaynak",
            venue="UCI Machine Learning Repository",
            year=1998,
            url="https://doi.org/10.24432/C50P49",
        ),
    )
    shape = (1, 8, 8)
    num_classes = 10

    def load(self, root: Path, split: str) -> ImageSet:
        """Read one split: (N, 8, 8) uint8, in scikit-learn's order."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
        labels = digits.target.astype(np.int64)
        chosen = _is_test(labels) == (split == "test")
        return ImageSet(images[chosen], labels[chosen])


def _is_test(labels: np.ndarray) -> np.ndarray:
    """Mark every third image of each class: (N,) bool."""
    test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        test[np.flatnonzero(labels == label)[2::3]] = True
    return test


class RotatedDigits(Dataset):
    """The test images of ``digits``, rotated by 90 degrees: familiar strokes, but no digits.

    Looked at one by one, a lying 0 is still a 0 and is left out, which leaves 537. A lying 1 is a
    bar and a lying 8 the sign of infinity: neither is a digit, and both stay. Half a turn is not
    offered: it maps 0, 1, 2, 5 and 8 to themselves or nearly so, and 6 and 9 to each other.

    Args:
        quarter_turns: 1 (counterclockwise) or 3 (clockwise).

    Raises:
        InvalidParameter: if it is neither.
    """

    info = Info(
        name="rotated-digits",
        title="RotatedDigits",
        summary="Test images of digits rotated by 90 degrees, without the 0; no download.",
    )
    shape = (1, 8, 8)
    num_classes = 10
    splits = ("test",)

    def __init__(self, *, quarter_turns: int = 1) -> None:
        if quarter_turns not in (1, 3):
            raise InvalidParameter(f"rotated-digits: quarter_turns={quarter_turns} is not 1 or 3")
        self.quarter_turns = quarter_turns

    def load(self, root: Path, split: str) -> ImageSet:
        """Rotate the images: (537, 8, 8) uint8; the labels are those of the upright digits."""
        digits = Digits().load(root, "test")
        images = np.rot90(digits.images, self.quarter_turns, axes=(1, 2))
        kept = digits.labels != 0
        return ImageSet(np.ascontiguousarray(images[kept]), digits.labels[kept])
