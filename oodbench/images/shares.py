"""Shares of the images of a split: those to learn from, validation images, and samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from oodbench.images.geometry import select

VALIDATION_STREAM = 2
"""Separates the draw of validation images from other draws by the same seed."""

LEAST_PER_CLASS = 5
"""At most one image out of this many of a class is held out."""


@dataclass(frozen=True)
class Share:
    """One share of the ID training images; validation images are the other.

    Attributes:
        is_validation: which of the two it is.
        validation_images: how many images are held out at most.
        seed: draws them.
    """

    is_validation: bool
    validation_images: int
    seed: int

    def positions(self, labels: np.ndarray) -> np.ndarray:
        """Return the positions of its images, (m,) int64 and ascending, given all labels (n,)."""
        held_out = draw_validation(labels, self.validation_images, self.seed)
        return held_out if self.is_validation else np.setdiff1d(np.arange(len(labels)), held_out)


@dataclass(frozen=True)
class Sample:
    """Some of the images of a test set that a run scores.

    Attributes:
        at_most: how many images the run scores at most.
        selection_seed: draws these.
        count: how many of them are meant.
        seed: draws those.
    """

    at_most: int
    selection_seed: int
    count: int
    seed: int

    is_validation: ClassVar = False

    def positions(self, labels: np.ndarray) -> np.ndarray:
        """Return the positions of the images, (m,) int64 and ascending, given all labels (n,)."""
        scored = select(len(labels), self.at_most, self.selection_seed)
        found: np.ndarray = scored[select(len(scored), self.count, self.seed)]
        return found


def draw_validation(labels: np.ndarray, at_most: int, seed: int) -> np.ndarray:
    """Draw the images to hold out: as many of each class as possible, a fifth of each at most.

    Args:
        labels: (n,) int64, the classes of the training images.
        at_most: how many to draw at most.
        seed: draws them.

    Returns:
        (m,) int64, ascending positions.
    """
    generator = np.random.Generator(np.random.Philox(seed + (VALIDATION_STREAM << 32)))
    order = generator.permutation(len(labels))
    _, classes, counts = np.unique(labels[order], return_inverse=True, return_counts=True)
    ranks = np.empty(
        len(labels), dtype=np.int64
    )  # the place of each image among those of its class
    ranks[np.argsort(classes, kind="stable")] = np.concatenate([np.arange(n) for n in counts])
    allowed = ranks < counts[classes] // LEAST_PER_CLASS
    in_turn = np.argsort(ranks[allowed], kind="stable")  # one of each class, then another of each
    return np.sort(order[allowed][in_turn][:at_most])
